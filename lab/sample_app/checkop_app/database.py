"""Rows of the sample application: one a job, whatever its kind."""

import pymysql

_SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
  id CHAR(32) NOT NULL PRIMARY KEY,
  kind VARCHAR(16) NOT NULL,
  host VARCHAR(255) NOT NULL,
  version VARCHAR(64) NOT NULL,
  created TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP
)
"""


class Database(object):
    """Short connections over TLS: one statement each, so that a restarted database is simply met again."""

    def __init__(self, settings):
        self._options = dict(settings.database, connect_timeout=3, read_timeout=5, write_timeout=5, autocommit=True)
        if settings.ca_file:
            self._options["ssl"] = {"ca": settings.ca_file}

    def _execute(self, statement, values=()):
        connection = pymysql.connect(**self._options)
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement, values)
                return cursor.fetchall()
        finally:
            connection.close()

    def prepare(self):
        """Create what is missing."""
        self._execute(_SCHEMA)

    def ping(self):
        """Raise unless the database answers and has the table."""
        self._execute("SELECT id FROM jobs LIMIT 1")

    def record(self, identifier, kind, host, version):
        """Keep one job."""
        self._execute(
            "INSERT INTO jobs (id, kind, host, version) VALUES (%s, %s, %s, %s)", (identifier, kind, host, version)
        )

    def counts(self):
        """Return the number of jobs by kind."""
        return dict(self._execute("SELECT kind, COUNT(*) FROM jobs GROUP BY kind"))
