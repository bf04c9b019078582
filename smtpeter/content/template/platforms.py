"""The platforms that can be followed and shared on: names, how a user name becomes a URL, where a share goes.

`U` is the shared URL, `T` its title, `D` its description, all percent-encoded where they are put in.
"""

_NAMES = """
addthis amazon android aol apple appstore ask badoo bebo behance bing blogger chrome delicious deviantart
digg diigo dribbble drive dropbox drupal envato etsy evernote facebook fav feed feedburner fiverr flickr
formspring forrst friendfeed getpocket github2 google google2 googleplus hi5 html5 icq imdb instagram lastfm
linkedin livejournal mail messenger metacafe msn myspace1 myspace2 newsvine overflow paypal photobucket
picasa pinterest quora reddit share skype snapchat soundcloud squidoo steam store stumbleupon techcrunch
technorati tripadvisor tumblr twitter twitter2 viber vimeo whatsapp wikipedia windows windows8 wordpress xbox
xing yahoo yelp youtube youtube2 zoosk zootool zynga
"""
PLATFORMS = frozenset(_NAMES.split())

# platforms where a user name is enough
PROFILES = {
    "facebook": "https://www.facebook.com/{}",
    "twitter": "https://twitter.com/{}",
    "linkedin": "https://www.linkedin.com/in/{}",
    "googleplus": "https://plus.google.com/+{}",
}

SHARES = {
    "facebook": "https://www.facebook.com/sharer/sharer.php?u=U",
    "twitter": "https://twitter.com/intent/tweet?url=U&text=D",
    "linkedin": "https://www.linkedin.com/sharing/share-offsite/?url=U",
    "pinterest": "https://www.pinterest.com/pin/create/button/?url=U&description=D",
    "reddit": "https://www.reddit.com/submit?url=U&title=T",
    "tumblr": "https://www.tumblr.com/widgets/share/tool?canonicalUrl=U&title=T&caption=D",
    "xing": "https://www.xing.com/spi/shares/new?url=U",
    "whatsapp": "https://api.whatsapp.com/send?text=D%20U",
    "mail": "mailto:?subject=T&body=D%20U",
}
FACEBOOK_DIALOG = "https://www.facebook.com/dialog/share?app_id=A&display=page&href=U&redirect_uri=R"

ICON_TYPES = (
    "flower",
    "glossy",
    "grey",
    "leaf",
    "polygon",
    "rectangular",
    "rounded",
    "roundedcorners",
    "waterdrop",
)

_READABLE = {
    "addthis": "AddThis",
    "aol": "AOL",
    "appstore": "App Store",
    "deviantart": "DeviantArt",
    "feedburner": "FeedBurner",
    "friendfeed": "FriendFeed",
    "getpocket": "Pocket",
    "github2": "GitHub",
    "google2": "Google",
    "googleplus": "Google+",
    "html5": "HTML5",
    "icq": "ICQ",
    "imdb": "IMDb",
    "lastfm": "Last.fm",
    "linkedin": "LinkedIn",
    "livejournal": "LiveJournal",
    "mail": "E-mail",
    "msn": "MSN",
    "myspace1": "Myspace",
    "myspace2": "Myspace",
    "overflow": "Stack Overflow",
    "paypal": "PayPal",
    "soundcloud": "SoundCloud",
    "stumbleupon": "StumbleUpon",
    "techcrunch": "TechCrunch",
    "tripadvisor": "Tripadvisor",
    "twitter2": "Twitter",
    "whatsapp": "WhatsApp",
    "windows8": "Windows 8",
    "wordpress": "WordPress",
    "xbox": "Xbox",
    "xing": "XING",
    "youtube": "YouTube",
    "youtube2": "YouTube",
}


def readable(name: str) -> str:
    """Gives the name of a platform as people write it."""
    return _READABLE.get(name, name.capitalize())
