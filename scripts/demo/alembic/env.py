"""Alembic's environment: one connection, each migration in a transaction of its own."""

from logging.config import fileConfig

from alembic import context
from sqlalchemy import engine_from_config

config = context.config
fileConfig(config.config_file_name)

with engine_from_config(config.get_section("alembic")).connect() as connection:
    context.configure(connection=connection, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()
