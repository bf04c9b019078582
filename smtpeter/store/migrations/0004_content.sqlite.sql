-- What mail is made of: templates, and what is fetched from elsewhere.

-- version: the number of the newest version. name: '' for none; several may share one.
create table templates (
    id integer primary key autoincrement,
    account integer not null references accounts (id),
    name text not null,
    version integer not null,
    created integer not null,
    changed integer not null
) strict;
create index templates_account on templates (account, id);
create index templates_name on templates (account, name, changed);

-- document: JSON as it was handed in.
create table template_versions (
    template integer not null references templates (id),
    version integer not null,
    created integer not null,
    document text not null,
    primary key (template, version)
) strict;

-- Foreign content, once for each SHA-256. A row here says that all parts are there; kept: when it was last stored.
create table contents (
    digest blob not null primary key,
    size integer not null,
    kept integer not null
) strict;
create table content_parts (
    digest blob not null,
    part integer not null,
    kept integer not null,
    bytes blob not null,
    primary key (digest, part)
) strict;

-- Submissions whose URLs are settled, and what was found at them: digest, or the trouble in slug and sentence.
-- url_hash: SHA-256, because a URL may be longer than a key.
create table prepared (
    source text primary key,
    at integer not null
) strict, without rowid;
create table resources (
    source text not null references prepared (source),
    url text not null,
    type text not null,
    name text not null,
    digest blob references contents (digest),
    slug text not null,
    sentence text not null,
    url_hash blob not null,
    primary key (source, url_hash)
) strict, without rowid;
create index resources_digest on resources (digest);

-- What an account fetched lately, until it has to be asked for again.
create table downloads (
    account integer not null references accounts (id),
    url text not null,
    type text not null,
    name text not null,
    digest blob not null references contents (digest),
    until integer not null,
    url_hash blob not null,
    primary key (account, url_hash)
) strict, without rowid;
create index downloads_digest on downloads (digest);
create index downloads_until on downloads (until);

-- Images that are served from the tracking host under their key; used: when a mail last named it.
create table hosted_images (
    key text primary key,
    account integer not null references accounts (id),
    digest blob not null references contents (digest),
    type text not null,
    used integer not null
) strict, without rowid;
create index hosted_images_digest on hosted_images (digest);
create index hosted_images_used on hosted_images (used);

-- data: JSON of values, of a submission for all recipients (null: braces are text) and of each recipient ('' for none).
alter table sources add column data text;
alter table messages add column data text not null default '';
alter table accounts add column settings text not null default '{}';

-- Schemes and hosts of tracked addresses, by the numbers that stand in tokens.
create table origins (
    id integer primary key autoincrement,
    account integer not null references accounts (id),
    origin text not null,
    unique (account, origin)
) strict;
