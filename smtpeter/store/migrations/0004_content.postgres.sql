-- What mail is made of: templates.

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
