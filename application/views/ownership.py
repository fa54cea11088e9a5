"""Owners and rights of a view's schema, which its rebuilt one takes over."""

from typing import Any, Final

import psycopg

from application.persistence.migrations import HELP_ROLES, SchemaUnusable

# The schema, its tables, sequences and functions: what they are to ALTER and GRANT, which name
# they have in the new schema, their owner, and the rights on them.
_OBJECTS: Final = """
    SELECT 'SCHEMA' AS kind, '' AS part, 'SCHEMA' AS altered, nspname AS schema,
        format('%%I', %(new)s::text) AS name, nspowner AS owner,
        coalesce(nspacl, acldefault('n', nspowner)) AS acl
    FROM pg_namespace WHERE nspname IN (%(old)s, %(new)s)
    UNION ALL
    SELECT CASE relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, relname,
        CASE relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, nspname,
        format('%%I.%%I', %(new)s::text, relname), relowner,
        coalesce(relacl, acldefault(CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", relowner))
    FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
    WHERE nspname IN (%(old)s, %(new)s) AND relkind IN ('r', 'S')
    UNION ALL
    SELECT 'FUNCTION', f.name, 'FUNCTION', nspname, format('%%I.%%s', %(new)s::text, f.name),
        proowner, coalesce(proacl, acldefault('f', proowner))
    FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace, LATERAL (SELECT format(
        '%%I(%%s)', proname, pg_get_function_identity_arguments(p.oid)) AS name) AS f
    WHERE nspname IN (%(old)s, %(new)s)"""
# The differences. Rights come first, as the owner replaces their giver; those of the schema come
# in between, as nobody reaches what is in it without them.
_STATEMENTS: Final = """WITH objects AS ({objects}), both_ AS (
        SELECT after.kind, after.altered, after.name, before.owner,
            before.acl AS wanted, after.acl AS had
        FROM objects before JOIN objects after USING (kind, part)
        WHERE before.schema = %(old)s AND after.schema = %(new)s
        AND (before.owner, before.acl) IS DISTINCT FROM (after.owner, after.acl)
    ), given AS (
        SELECT CASE kind WHEN 'SCHEMA' THEN 2 ELSE 1 END AS place,
            format('REVOKE ALL ON %%s %%s FROM %%s', kind, name, who) AS text
        FROM both_, aclexplode(had) AS acl, LATERAL (SELECT CASE grantee WHEN 0 THEN 'PUBLIC'
            ELSE format('%%I', pg_get_userbyid(grantee)) END AS who) AS grantees
        UNION
        SELECT CASE kind WHEN 'SCHEMA' THEN 3 ELSE 4 END,
            format('GRANT %%s ON %%s %%s TO %%s', privilege_type, kind, name, who)
            || CASE WHEN is_grantable AND grantee <> owner THEN ' WITH GRANT OPTION' ELSE '' END
        FROM both_, aclexplode(wanted) AS acl, LATERAL (SELECT CASE grantee WHEN 0 THEN 'PUBLIC'
            ELSE format('%%I', pg_get_userbyid(grantee)) END AS who) AS grantees
        UNION
        SELECT 4, format('GRANT %%s (%%I) ON %%I.%%I TO %%s', privilege_type, attname,
                %(new)s::text, relname, who)
            || CASE WHEN is_grantable AND grantee <> relowner THEN ' WITH GRANT OPTION' ELSE '' END
        FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
            JOIN pg_attribute ON attrelid = c.oid,
            aclexplode(attacl) AS acl, LATERAL (SELECT CASE grantee WHEN 0 THEN 'PUBLIC'
            ELSE format('%%I', pg_get_userbyid(grantee)) END AS who) AS grantees
        WHERE nspname = %(old)s AND relkind = 'r' AND NOT attisdropped
        UNION
        SELECT 5, format('ALTER %%s %%s OWNER TO %%I', altered, name, pg_get_userbyid(owner))
        FROM both_
        UNION
        SELECT 6, format('ALTER DEFAULT PRIVILEGES FOR ROLE %%I IN SCHEMA %%I'
                ' GRANT %%s ON %%s TO %%s',
            pg_get_userbyid(defaclrole), %(new)s::text, privilege_type,
            CASE defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES'
                WHEN 'f' THEN 'FUNCTIONS' ELSE 'TYPES' END, who)
        FROM pg_default_acl JOIN pg_namespace n ON n.oid = defaclnamespace,
            aclexplode(defaclacl) AS acl, LATERAL (SELECT CASE grantee WHEN 0 THEN 'PUBLIC'
            ELSE format('%%I', pg_get_userbyid(grantee)) END AS who) AS grantees
        WHERE nspname = %(old)s
    )
    SELECT text FROM given ORDER BY place, text""".replace("{objects}", _OBJECTS)
_MAY: Final = """SELECT current_user AS role, has_database_privilege(current_database(), 'CREATE')
        AND bool_and(pg_has_role(owner, 'USAGE')) AS may
    FROM (SELECT nspowner AS owner FROM pg_namespace WHERE nspname = %(schema)s
        UNION SELECT relowner FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
        WHERE nspname = %(schema)s) AS owners"""


def check_may_replace(connection: psycopg.Connection[Any], schema: str) -> None:
    """Raise SchemaUnusable where this role could not put another schema in this one's place."""
    [row] = connection.execute(_MAY, {"schema": schema}).fetchall()
    if not row["may"]:
        raise SchemaUnusable(
            f'the role "{row["role"]}" may not replace the schema "{schema}": run it as a role'
            f" that owns it, or a member of that one, and that may create schemas; {HELP_ROLES}"
        )


def take_over(connection: psycopg.Connection[Any], old: str, new: str) -> None:
    """Give ``new`` and what is in it the owners and rights that ``old`` has."""
    for row in connection.execute(_STATEMENTS, {"old": old, "new": new}).fetchall():
        connection.execute(row["text"].encode(), prepare=False)
