-- Times are milliseconds since 1970 in UTC. Ids compare by octets, as they do on SQLite.

create table heart (beat bigint not null);
insert into heart (beat) values (0);

create table accounts (
    id bigint generated always as identity primary key,
    name text not null unique,
    suspended text not null default '',
    approve_all bigint not null default 0,
    features text not null default '{}',
    created bigint not null
);

create table logins (
    id bigint generated always as identity primary key,
    account bigint not null references accounts (id),
    username text not null unique,
    password_hash text not null,
    features text not null default '{}',
    networks text not null default '[]',
    sender_domains text not null default '[]',
    created bigint not null
);

create table tokens (
    id bigint generated always as identity primary key,
    account bigint not null references accounts (id),
    name text not null,
    prefix text not null,
    digest bytea not null unique,
    scopes text not null,
    is_sandbox bigint not null default 0,
    created bigint not null,
    unique (account, name)
);

create table domains (
    id bigint generated always as identity primary key,
    account bigint not null references accounts (id),
    name text not null,
    approved bigint,
    subdomains bigint not null default 1,
    created bigint not null,
    unique (account, name)
);
create index domains_name on domains (name);

create table dkim_keys (
    id bigint generated always as identity primary key,
    domain bigint not null references domains (id),
    name text not null,
    selector text not null,
    algorithm text not null,
    sealed bytea not null,
    created bigint not null,
    unique (name, selector)
);
create index dkim_keys_domain on dkim_keys (domain);

create table sources (
    id text collate "C" primary key,
    account bigint not null,
    accepted bigint not null,
    expires bigint not null,
    envelope text,
    from_domain text not null,
    subject text not null,
    options text not null,
    received text not null,
    kind text not null,
    size bigint not null,
    is_blob bigint not null,
    content bytea
);
alter table sources alter column content set storage external;

-- Large content in parts of 1 MiB.
create table blobs (
    source text collate "C" not null,
    part bigint not null,
    stored bigint not null,
    bytes bytea not null,
    primary key (source, part)
);
alter table blobs alter column bytes set storage external;

-- stage: 0 waits for `due`, 1 ready, 2 ready but without a lane, NULL final.
create table messages (
    id text collate "C" primary key,
    account bigint not null,
    source text collate "C" not null,
    ordinal bigint not null,
    recipient text not null,
    given text not null,
    domain text collate "C" not null,
    notify text not null,
    orcpt text not null,
    priority bigint not null,
    lane text collate "C",
    state text not null,
    stage bigint,
    due bigint,
    claim bigint not null,
    attempt bigint not null,
    unsettled bigint not null,
    worker bigint,
    expires bigint not null,
    told_delay bigint not null,
    settled bigint
) with (fillfactor = 80);
create index messages_ready on messages (priority, account, lane, due) where stage = 1;
create index messages_waiting on messages (due, worker) where stage = 0;
create index messages_unrouted on messages (account, domain) where stage = 2;

create table sent_blocks (
    message text collate "C" primary key,
    transfer text not null,
    block bytea not null
);

create table events (
    seq bigint generated always as identity primary key,
    message text collate "C" not null,
    name text not null,
    at bigint not null,
    fields text not null
);
create index events_message on events (message, seq);

create table workers (
    id bigint generated always as identity primary key,
    node text not null,
    pid bigint not null,
    started bigint not null,
    heartbeat bigint not null
);
