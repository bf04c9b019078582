-- What the complete doors need: search, answers that are repeated, suppressions, users.

create index messages_of_account on messages (account, id);
create index messages_of_recipient on messages (account, recipient, id);

-- The answer to a call that had an Idempotency-Key. source: the first submission that was stored with it.
create table answers (
    account bigint not null,
    key text collate "C" not null,
    source text collate "C",
    created bigint not null,
    digest bytea not null,
    status bigint not null,
    content bytea not null,
    unique (account, key)
);
create index answers_created on answers (created);

-- Addresses (lower case) and domains that get no mail of the account. stream '' is all of them.
create table suppressions (
    account bigint not null references accounts (id),
    entry text collate "C" not null,
    stream text collate "C" not null,
    cause text not null,
    since bigint not null,
    message text collate "C",
    primary key (account, entry, stream)
);

create table users (
    id bigint generated always as identity primary key,
    email text collate "C" not null unique,
    password_hash text not null,
    created bigint not null
);

create table memberships (
    user_id bigint not null references users (id),
    account bigint not null references accounts (id),
    role text not null,
    primary key (user_id, account)
);
create index memberships_account on memberships (account);
