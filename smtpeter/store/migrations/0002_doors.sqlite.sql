-- What the complete doors need: search, answers that are repeated, suppressions, users.

create index messages_of_account on messages (account, id);
create index messages_of_recipient on messages (account, recipient, id);

-- The answer to a call that had an Idempotency-Key. source: the first submission that was stored with it.
create table answers (
    account integer not null,
    key text not null,
    source text,
    created integer not null,
    digest blob not null,
    status integer not null,
    content blob not null,
    unique (account, key)
) strict;
create index answers_created on answers (created);

-- Addresses (lower case) and domains that get no mail of the account. stream '' is all of them.
create table suppressions (
    account integer not null references accounts (id),
    entry text not null,
    stream text not null,
    cause text not null,
    since integer not null,
    message text,
    primary key (account, entry, stream)
) strict, without rowid;

create table users (
    id integer primary key autoincrement,
    email text not null unique,
    password_hash text not null,
    created integer not null
) strict;

create table memberships (
    user_id integer not null references users (id),
    account integer not null references accounts (id),
    role text not null,
    primary key (user_id, account)
) strict, without rowid;
create index memberships_account on memberships (account);
