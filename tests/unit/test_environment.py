"""Static reading of `env.py`: Alembic's own shapes are certain, anything that could differ is not."""

from pathlib import Path

import alembic
import pytest

from migrator.history.environment import read_version_table
from migrator.model import VersionTable

TEMPLATES = Path(alembic.__file__).parent / "templates"

TEMPLATE = """\
from alembic import context
from sqlalchemy import engine_from_config
{top}

config = context.config


def run_migrations_offline():
    context.configure(url=config.get_main_option("sqlalchemy.url"), literal_binds=True{keywords})
    with context.begin_transaction():
        context.run_migrations()


def run_migrations_online():
    connectable = engine_from_config(config.get_section(config.config_ini_section))
    with connectable.connect() as connection:
        {before}
        context.configure(connection=connection, target_metadata=None{keywords})
        with context.begin_transaction():
            context.run_migrations()


if context.is_offline_mode():
    run_migrations_offline()
else:
    {call}
"""


def env(*, keywords: str = "", top: str = "", before: str = "", call: str = "run_migrations_online()") -> str:
    return TEMPLATE.format(keywords=keywords and f", {keywords}", top=top, before=before, call=call)


@pytest.mark.parametrize("name", ["generic", "async", "pyproject", "pyproject_async"])
def test_alembics_templates_use_the_default_table(name: str) -> None:
    template = TEMPLATES / name / "env.py"
    assert read_version_table(template.read_text()) == VersionTable("alembic_version", None)


def test_alembics_template_for_several_databases_is_uncertain() -> None:
    assert read_version_table((TEMPLATES / "multidb" / "env.py").read_text()) is None


CERTAIN = {
    "nothing named": (env(), VersionTable()),
    "literal table": (env(keywords="version_table='shop_version'"), VersionTable("shop_version")),
    "literal schema": (env(keywords="version_table_schema='shop'"), VersionTable(schema="shop")),
    "no schema": (env(keywords="version_table_schema=None, version_table_pk=False"), VersionTable()),
    "constant": (
        env(top="TABLE = 'shop_version'", keywords="version_table=TABLE"),
        VersionTable("shop_version"),
    ),
    "typed constant": (env(top="TABLE: str = 'v'", keywords="version_table=TABLE"), VersionTable("v")),
    "constant of the same name": (
        env(top="version_table = 'v'", keywords="version_table=version_table"),
        VersionTable("v"),
    ),
    "other name for the context": (
        env().replace("context", "ctx").replace("import ctx", "import context as ctx"),
        VersionTable(),
    ),
    "no function at all": (
        "from alembic import context\ncontext.configure(connection=connect())\ncontext.run_migrations()\n",
        VersionTable(),
    ),
    "a hook with a parameter called context": (
        env(
            top="def hook(context, revision, directives):\n    for one in directives:\n        print(context)"
        ),
        VersionTable(),
    ),
    "a loop over something else": (env(top="for name in ('a', 'b'):\n    print(name)"), VersionTable()),
}


@pytest.mark.parametrize(("source", "table"), CERTAIN.values(), ids=CERTAIN.keys())
def test_literal_tables_are_certain(source: str, table: VersionTable) -> None:
    assert read_version_table(source) == table


UNCERTAIN = {
    "broken": "def",
    "empty": "",
    "keywords passed on": env(keywords="**options"),
    "computed table": env(keywords="version_table=config.get_main_option('t')"),
    "formatted table": env(keywords="version_table=f'{name}_version'"),
    "imported constant": env(top="from app import TABLE", keywords="version_table=TABLE"),
    "constant assigned twice": env(top="T = 'a'\nif DEBUG:\n    T = 'b'", keywords="version_table=T"),
    "constant changed by a function": env(
        top="T = 'a'\ndef change():\n    global T\n    T = 'b'", keywords="version_table=T"
    ),
    "parameter called like a constant": env(top="T = 'a'\ndef other(T): ...", keywords="version_table=T"),
    "no table": env(keywords="version_table=None"),
    "empty schema": env(keywords="version_table_schema=''"),
    "calls that disagree": env().replace("target_metadata=None", "version_table='shop_version'"),
    "options elsewhere": env(top="OPTIONS = {'version_table': 'v'}"),
    "keywords elsewhere": env(top="OPTIONS = dict(version_table='v')"),
    "an attribute": env(top="print(settings.version_table)"),
    "loop around the configuration": env(
        before="for tenant in tenants: context.configure(connection=connection)"
    ),
    "loop around the call": env(call="[run_migrations_online() for _ in tenants]"),
    "while": env(call="while tenants: run_migrations_online()"),
    "executor": env(call="pool.map(run_migrations_online, tenants)"),
    "partial": env(call="partial(run_migrations_online)()"),
    "lambda": env(call="run = lambda: run_migrations_online()"),
    "loop around a caller": env(
        top="def each():\n    run_migrations_online()\n", call="for tenant in tenants: each()"
    ),
    "decorated": env().replace("def run_migrations_online", "@for_each_tenant\ndef run_migrations_online"),
    "inside a class": env().replace("def run_migrations_online", "class Run:\n  def run_migrations_online"),
    "configured elsewhere": env(call="helpers.run_online(engine)"),
    "helper that gets the context": env(call="helpers.run(context)"),
    "configure as a value": env(before="partial(context.configure, version_table_schema='a')()"),
    "configure replaced": env(before="context.configure = other"),
    "configure of another object": env(before="migration.configure(connection)"),
    "context assigned": env(top="context = Tenant()"),
    "context from elsewhere": env(top="from app import context"),
    "context of a submodule": env(top="import alembic.context"),
    "only offline": "from alembic import context\ncontext.configure(url='x')\ncontext.run_migrations()\n",
    "never runs": "from alembic import context\ncontext.configure(connection=connection)\n",
    "migration context": env(before="MigrationContext(dialect, connection, {})"),
    "star import": env(top="from app.models import *"),
    "exec": env(top="exec(open('x').read())"),
    "search path": env(before="connection.execute(text('SET search_path TO tenant'))"),
    "schema": env(before="connection.execute(text('set local schema tenant'))"),
    "role": env(before="connection.execute(text('SET ROLE owner'))"),
    "translated schemas": env(before="connection.execution_options(schema_translate_map={None: 'tenant'})"),
    "default schema": env(before="connection.dialect.default_schema_name = 'tenant'"),
}


@pytest.mark.parametrize("source", UNCERTAIN.values(), ids=UNCERTAIN.keys())
def test_what_could_be_another_table_is_uncertain(source: str) -> None:
    assert read_version_table(source) is None


def test_flask_migrates_template_is_uncertain_because_the_app_adds_keywords() -> None:
    source = env(keywords="**current_app.extensions['migrate'].configure_args")
    assert read_version_table(source) is None
