-- What mail is made of: templates, and what is fetched from elsewhere.

-- version: the number of the newest version. name: '' for none; several may share one.
create table templates (
    id bigint generated always as identity primary key,
    account bigint not null references accounts (id),
    name text collate "C" not null,
    version bigint not null,
    created bigint not null,
    changed bigint not null
);
create index templates_account on templates (account, id);
create index templates_name on templates (account, name, changed);

-- document: JSON as it was handed in.
create table template_versions (
    template bigint not null references templates (id),
    version bigint not null,
    created bigint not null,
    document text not null,
    primary key (template, version)
);

-- Foreign content, once for each SHA-256. A row here says that all parts are there; kept: when it was last stored.
create table contents (
    digest bytea primary key,
    size bigint not null,
    kept bigint not null
);
create table content_parts (
    digest bytea not null,
    part bigint not null,
    kept bigint not null,
    bytes bytea not null,
    primary key (digest, part)
);

-- Submissions whose URLs are settled, and what was found at them: digest, or the trouble in slug and sentence.
-- url_hash: SHA-256, because a URL may be longer than a key.
create table prepared (
    source text collate "C" primary key,
    at bigint not null
);
create table resources (
    source text collate "C" not null references prepared (source),
    url text collate "C" not null,
    type text not null,
    name text not null,
    digest bytea references contents (digest),
    slug text not null,
    sentence text not null,
    url_hash bytea not null,
    primary key (source, url_hash)
);
create index resources_digest on resources (digest);

-- What an account fetched lately, until it has to be asked for again.
create table downloads (
    account bigint not null references accounts (id),
    url text collate "C" not null,
    type text not null,
    name text not null,
    digest bytea not null references contents (digest),
    until bigint not null,
    url_hash bytea not null,
    primary key (account, url_hash)
);
create index downloads_digest on downloads (digest);
create index downloads_until on downloads (until);

-- Images that are served from the tracking host under their key; used: when a mail last named it.
create table hosted_images (
    key text collate "C" primary key,
    account bigint not null references accounts (id),
    digest bytea not null references contents (digest),
    type text not null,
    used bigint not null
);
create index hosted_images_digest on hosted_images (digest);
create index hosted_images_used on hosted_images (used);

-- data: JSON of values, of a submission for all recipients (null: braces are text) and of each recipient ('' for none).
alter table sources add column data text;
alter table messages add column data text not null default '';
alter table accounts add column settings text not null default '{}';

-- Schemes and hosts of tracked addresses, by the numbers that stand in tokens.
create table origins (
    id bigint generated always as identity primary key,
    account bigint not null references accounts (id),
    origin text collate "C" not null,
    unique (account, origin)
);
