"""Media types by file extension: a table of our own.

The one of Python reads files of the system and differs between its versions; ours gives the same octets everywhere.
The names are those of the IANA registry of media types where it has one. Raises nothing.
"""

OCTETS = "application/octet-stream"

# type: its extensions, the usual one first. The first type that has an extension owns it.
_EXTENSIONS = {
    "application/pdf": "pdf",
    "application/msword": "doc dot",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "application/vnd.ms-powerpoint": "ppt pps",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": "pptx",
    "application/vnd.oasis.opendocument.text": "odt",
    "application/vnd.oasis.opendocument.spreadsheet": "ods",
    "application/vnd.oasis.opendocument.presentation": "odp",
    "application/rtf": "rtf",
    "application/epub+zip": "epub",
    "application/postscript": "ps eps ai",
    "application/json": "json",
    "application/ld+json": "jsonld",
    "application/xml": "xml xsd xsl",
    "application/sql": "sql",
    "application/javascript": "js mjs",
    "application/zip": "zip",
    "application/gzip": "gz tgz",
    "application/x-bzip2": "bz2",
    "application/x-xz": "xz",
    "application/zstd": "zst",
    "application/x-tar": "tar",
    "application/x-7z-compressed": "7z",
    "application/vnd.rar": "rar",
    "application/java-archive": "jar",
    "application/vnd.android.package-archive": "apk",
    "application/pkcs7-mime": "p7m p7c",
    "application/pkcs7-signature": "p7s",
    "application/pkcs10": "p10",
    "application/x-pkcs12": "p12 pfx",
    "application/pgp-signature": "sig",
    "application/pgp-encrypted": "pgp gpg",
    "application/pgp-keys": "asc",
    "application/vnd.apple.pkpass": "pkpass",
    "application/wasm": "wasm",
    "text/plain": "txt text log",
    "text/html": "html htm",
    "text/css": "css",
    "text/csv": "csv",
    "text/tab-separated-values": "tsv",
    "text/markdown": "md",
    "text/calendar": "ics ical",
    "text/vcard": "vcf",
    "image/png": "png",
    "image/jpeg": "jpg jpeg jpe",
    "image/gif": "gif",
    "image/webp": "webp",
    "image/avif": "avif",
    "image/heic": "heic",
    "image/svg+xml": "svg",
    "image/tiff": "tif tiff",
    "image/bmp": "bmp",
    "image/vnd.microsoft.icon": "ico",
    "image/vnd.adobe.photoshop": "psd",
    "audio/mpeg": "mp3",
    "audio/mp4": "m4a",
    "audio/ogg": "ogg oga opus",
    "audio/wav": "wav",
    "audio/flac": "flac",
    "audio/aac": "aac",
    "video/mp4": "mp4 m4v",
    "video/mpeg": "mpg mpeg",
    "video/quicktime": "mov",
    "video/webm": "webm",
    "video/x-msvideo": "avi",
    "font/ttf": "ttf",
    "font/otf": "otf",
    "font/woff": "woff",
    "font/woff2": "woff2",
    "message/rfc822": "eml",
    OCTETS: "bin exe dll iso dmg",
}

_TYPES = {extension: kind for kind, names in reversed(_EXTENSIONS.items()) for extension in names.split()}
# names that are in use beside the registered one
_ALIASES = {"image/jpg": "jpg", "text/xml": "xml", "text/javascript": "js", "application/x-zip-compressed": "zip"}


def type_of(name: str) -> str:
    """Gives the type that a file name suggests, application/octet-stream when it suggests none."""
    stem, _, extension = name.rpartition(".")
    return _TYPES.get(extension.lower(), OCTETS) if stem else OCTETS


def extension_of(kind: str) -> str:
    """Gives the usual extension of a type with its dot, ".bin" for a type that is not in the table."""
    known = _EXTENSIONS.get(kind)
    return f".{known.split()[0]}" if known else f".{_ALIASES.get(kind, 'bin')}"
