from alembic import context

from app.session import Session

session = Session()
context.configure(connection=session.connection(), target_metadata=None)
try:
    context.run_migrations()
    session.commit()
except Exception:
    session.rollback()
    raise
finally:
    Session.remove()
