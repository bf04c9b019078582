-- What steers the way out, and what shows how it goes.

alter table workers add column roles text not null default '';

-- stage 3: held back by a pause (messages.pause). Expired messages are found whatever their stage.
alter table messages add column pause integer;
create index messages_held on messages (pause) where stage = 3;
create index messages_expires on messages (expires) where stage is not null;

-- strikes: claims of this message alone that ended without a result. doubtful 1: an earlier attempt may have delivered it.
alter table messages add column strikes integer not null default 0;
alter table messages add column doubtful integer not null default 0;

-- tell_at: when the submitter is to be told that the message is late; null: nobody asked, or it was told. Mail of before
-- is late after four hours.
alter table messages add column tell_at integer;
update messages set tell_at = 14400000 + (
    select max(s.accepted, coalesce(cast(round(unixepoch(json_extract(s.options, '$.send_at'), 'subsec') * 1000) as integer), 0))
    from sources s where s.id = messages.source
) where stage is not null and told_delay = 0 and notify like '%DELAY%' and exists (
    select 1 from sources s where s.id = messages.source and s.envelope <> ''
);
alter table messages drop column told_delay;
create index messages_late on messages (tell_at) where tell_at is not null and stage is not null;

-- Entries of model/steering.py. until: when a pause ends.
create table steering (
    id integer primary key autoincrement,
    kind text not null,
    position integer not null,
    body text not null,
    until integer,
    created integer not null
) strict;
create table steering_version (version integer not null) strict;
insert into steering_version (version) values (0);

-- What each worker says about its lanes.
create table lane_reports (
    worker integer not null,
    lane text not null,
    at integer not null,
    body text not null,
    primary key (worker, lane)
) strict, without rowid;
