-- What steers the way out, and what shows how it goes.

alter table workers add column roles text not null default '';

-- stage 3: held back by a pause (messages.pause). Expired messages are found whatever their stage.
alter table messages add column pause bigint;
create index messages_held on messages (pause) where stage = 3;
create index messages_expires on messages (expires) where stage is not null;

-- strikes: claims of this message alone that ended without a result. doubtful 1: an earlier attempt may have delivered it.
alter table messages add column strikes bigint not null default 0;
alter table messages add column doubtful bigint not null default 0;

-- Entries of model/steering.py. until: when a pause ends.
create table steering (
    id bigint generated always as identity primary key,
    kind text not null,
    position bigint not null,
    body text not null,
    until bigint,
    created bigint not null
);
create table steering_version (version bigint not null);
insert into steering_version (version) values (0);

-- What each worker says about its lanes.
create table lane_reports (
    worker bigint not null,
    lane text collate "C" not null,
    at bigint not null,
    body text not null,
    primary key (worker, lane)
);
