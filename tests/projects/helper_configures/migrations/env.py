from platform_db.alembic_env import run

run(schema="public", compare_type=True)
