"""Parameters of the MySQL families that RDS describes: those that operators set, with their rules."""

from typing import Any


def _parameter(name: str, kind: str, default: str | None, allowed: str = "", *, static: bool = False) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "ParameterName": name,
        "DataType": kind,
        "Source": "engine-default" if default is None else "system",
        "ApplyType": "static" if static else "dynamic",
        "IsModifiable": True,
        "ApplyMethod": "pending-reboot" if static else "immediate",
    }
    if default is not None:
        answer["ParameterValue"] = default
    if allowed:
        answer["AllowedValues"] = allowed
    return answer


MYSQL: tuple[dict[str, Any], ...] = (
    _parameter("character_set_client", "string", None),
    _parameter("character_set_connection", "string", None),
    _parameter("character_set_database", "string", None),
    _parameter("character_set_results", "string", None),
    _parameter("character_set_server", "string", None),
    _parameter("collation_connection", "string", None),
    _parameter("collation_server", "string", None),
    _parameter("event_scheduler", "string", None, "ON,OFF"),
    _parameter("general_log", "boolean", None, "0,1"),
    _parameter("innodb_buffer_pool_size", "integer", "{DBInstanceClassMemory*3/4}", "5242880-18446744073709547520"),
    _parameter("innodb_flush_log_at_trx_commit", "integer", None, "0-2"),
    _parameter("innodb_lock_wait_timeout", "integer", None, "1-1073741824"),
    _parameter("innodb_print_all_deadlocks", "boolean", None, "0,1"),
    _parameter("interactive_timeout", "integer", None, "1-31536000"),
    _parameter("local_infile", "boolean", "1", "0,1"),
    _parameter("log_bin_trust_function_creators", "boolean", None, "0,1"),
    _parameter("log_output", "string", "TABLE", "TABLE,FILE,NONE"),
    _parameter("log_queries_not_using_indexes", "boolean", None, "0,1"),
    _parameter("long_query_time", "float", None, "0-31536000"),
    _parameter("lower_case_table_names", "integer", None, "0,1", static=True),
    _parameter("max_allowed_packet", "integer", None, "1024-1073741824"),
    _parameter("max_connections", "integer", "{DBInstanceClassMemory/12582880}", "1-100000"),
    _parameter("max_execution_time", "integer", None, "0-18446744073709551615"),
    _parameter("net_read_timeout", "integer", None, "1-31536000"),
    _parameter("net_write_timeout", "integer", None, "1-31536000"),
    _parameter("performance_schema", "boolean", "0", "0,1", static=True),
    _parameter("require_secure_transport", "boolean", "0", "0,1"),
    _parameter("slow_query_log", "boolean", None, "0,1"),
    _parameter("sql_mode", "list", None),
    _parameter("time_zone", "string", None),
    _parameter("tls_version", "list", None, "TLSv1.2,TLSv1.3", static=True),
    _parameter("transaction_isolation", "string", None),
    _parameter("wait_timeout", "integer", None, "1-31536000"),
)
