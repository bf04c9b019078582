-- Times are milliseconds since 1970 in UTC. Ids of submissions and messages grow with time, so that new rows are
-- appended to their trees.

create table heart (beat integer not null) strict;
insert into heart (beat) values (0);

create table accounts (
    id integer primary key autoincrement,
    name text not null unique,
    suspended text not null default '',
    approve_all integer not null default 0,
    features text not null default '{}',
    created integer not null
) strict;

create table logins (
    id integer primary key autoincrement,
    account integer not null references accounts (id),
    username text not null unique,
    password_hash text not null,
    features text not null default '{}',
    networks text not null default '[]',
    sender_domains text not null default '[]',
    created integer not null
) strict;

create table tokens (
    id integer primary key autoincrement,
    account integer not null references accounts (id),
    name text not null,
    prefix text not null,
    digest blob not null unique,
    scopes text not null,
    is_sandbox integer not null default 0,
    created integer not null,
    unique (account, name)
) strict;

create table domains (
    id integer primary key autoincrement,
    account integer not null references accounts (id),
    name text not null,
    approved integer,
    subdomains integer not null default 1,
    created integer not null,
    unique (account, name)
) strict;
create index domains_name on domains (name);

create table dkim_keys (
    id integer primary key autoincrement,
    domain integer not null references domains (id),
    name text not null,
    selector text not null,
    algorithm text not null,
    sealed blob not null,
    created integer not null,
    unique (name, selector)
) strict;
create index dkim_keys_domain on dkim_keys (domain);

-- One row per submission. The content comes last, so that reading the header does not walk through it.
create table sources (
    id text primary key,
    account integer not null,
    accepted integer not null,
    expires integer not null,
    envelope text,
    from_domain text not null,
    subject text not null,
    options text not null,
    received text not null,
    kind text not null,
    size integer not null,
    is_blob integer not null,
    content blob
) strict;

-- One row per recipient. stage: 0 waits for `due`, 1 ready, 2 ready but without a lane, NULL final.
create table messages (
    id text primary key,
    account integer not null,
    source text not null,
    ordinal integer not null,
    recipient text not null,
    given text not null,
    domain text not null,
    notify text not null,
    orcpt text not null,
    priority integer not null,
    lane text,
    state text not null,
    stage integer,
    due integer,
    claim integer not null,
    attempt integer not null,
    unsettled integer not null,
    worker integer,
    expires integer not null,
    told_delay integer not null,
    settled integer
) strict, without rowid;
create index messages_ready on messages (priority, account, lane, due) where stage = 1;
create index messages_waiting on messages (due, worker) where stage = 0;
create index messages_unrouted on messages (account, domain) where stage = 2;

-- What delivery put before the render, so that the mail can be shown as it was sent.
create table sent_blocks (
    message text primary key,
    transfer text not null,
    block blob not null
) strict, without rowid;

create table events (
    seq integer primary key,
    message text not null,
    name text not null,
    at integer not null,
    fields text not null
) strict;
create index events_message on events (message);

create table workers (
    id integer primary key autoincrement,
    node text not null,
    pid integer not null,
    started integer not null,
    heartbeat integer not null
) strict;
