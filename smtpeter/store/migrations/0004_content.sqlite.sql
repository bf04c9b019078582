-- What mail is made of: templates.

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
