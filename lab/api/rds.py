"""Amazon RDS: instances that are available when their database answers, storage that never shrinks, real parameters."""

from typing import Any

from moto.core.responses import ActionResult
from moto.moto_api._internal import mock_random
from moto.rds.exceptions import DBInstanceAlreadyExists, DBParameterGroupNotFoundError
from moto.rds.models import DBInstance, DBParameterGroup, RDSBackend
from moto.rds.responses import RDSResponse

from lab.api import context, views
from lab.api.base import LabBackend, Refusal
from lab.api.paging import page
from lab.api.rds_parameters import MYSQL

# RDS gives the newest minor version of the major version that was asked for.
NEWEST = {"5.7": "5.7.44", "8.0": "8.0.43", "8.4": "8.4.6"}
KMS_KEY = f"arn:aws:kms:{context.REGION}:{context.ACCOUNT}:key/00000000-0000-4000-8000-0000000000db"
MINIMUM_GB = 20


class LabDBInstance(DBInstance):  # type: ignore[misc]
    """A DB instance whose endpoint is where its database really answers."""

    engine: str
    engine_version: str

    def __init__(self, backend: RDSBackend, **kwargs: Any) -> None:
        super().__init__(backend, **kwargs)
        self.status = "creating"
        self.where: dict[str, Any] | None = None
        self.asked_port = int(self.port or 3306)
        self.engine_version = NEWEST.get(self.engine_version, self.engine_version)
        self.dbi_resource_id = f"db-{mock_random.get_random_hex(26).upper()}"
        self.ca_certificate_identifier = "rds-ca-rsa2048-g1"
        if self.storage_encrypted and not kwargs.get("kms_key_id"):
            self.kms_key_id = KMS_KEY

    @property
    def endpoint(self) -> dict[str, Any] | None:
        """Where it answers; nothing before it has done so once."""
        return self.where

    def default_db_parameter_group_details(self) -> tuple[str, str]:
        """Return family and name of the engine's default parameter group."""
        family = f"{self.engine.lower()}{'.'.join(self.engine_version.split('.')[:2])}"
        return family, f"default.{family}"


class LabRDSBackend(LabBackend, RDSBackend):  # type: ignore[misc]
    """Databases of the rehearsal cloud."""

    service = "rds"

    def create_db_instance(self, db_kwargs: Any) -> LabDBInstance:
        """Create a DB instance; it is `creating` until its database answers."""
        identifier = db_kwargs["db_instance_identifier"]
        if identifier in self.databases:
            raise DBInstanceAlreadyExists()
        self._validate_db_identifier(identifier)
        storage = int(db_kwargs.get("allocated_storage") or 0)
        if storage < MINIMUM_GB:
            message = f"Invalid storage size for engine name {db_kwargs['engine']}: {storage}; at least {MINIMUM_GB}."
            raise Refusal("InvalidParameterValue", message)
        database = LabDBInstance(self, **db_kwargs)
        self.databases[identifier] = database
        database.add_event("DB_INSTANCE_CREATE")
        database.save_automated_backup()
        return database

    def modify_db_instance(self, db_instance_identifier: str, db_kwargs: Any) -> DBInstance:
        """Change a DB instance; storage may grow, not shrink."""
        database = self.describe_db_instances(db_instance_identifier)[0]
        asked = db_kwargs.get("allocated_storage")
        if asked is not None and int(asked) < database.allocated_storage:
            message = (
                f"Invalid storage size for engine name {database.engine} and storage type {database.storage_type}: "
                f"requested storage size {asked} is smaller than the allocated {database.allocated_storage}."
            )
            raise Refusal("InvalidParameterCombination", message)
        if database.status not in ("available", "storage-optimization"):
            message = f"Database instance is not in available state: {database.status}."
            raise Refusal("InvalidDBInstanceState", message)
        ceiling = db_kwargs.get("max_allocated_storage")
        if asked is not None and ceiling is not None:
            # moto checks the ceiling against the size that it has, so the size comes first.
            database.allocated_storage = int(asked)
        if db_kwargs.get("engine_version"):
            db_kwargs["engine_version"] = NEWEST.get(db_kwargs["engine_version"], db_kwargs["engine_version"])
        group = db_kwargs.get("db_parameter_group_name")
        if group and database.is_default_parameter_group(group):
            database.db_parameter_groups()
        changed: DBInstance = super().modify_db_instance(db_instance_identifier, db_kwargs)
        return changed

    def delete_db_instance(
        self,
        db_instance_identifier: str,
        final_db_snapshot_identifier: str | None = None,
        skip_final_snapshot: bool | None = False,
        **kwargs: Any,
    ) -> DBInstance:
        """Delete a DB instance; without a final snapshot only when that is said."""
        if not skip_final_snapshot and not final_db_snapshot_identifier:
            message = "FinalDBSnapshotIdentifier is required unless SkipFinalSnapshot is specified."
            raise Refusal("InvalidParameterCombination", message)
        deleted: DBInstance = super().delete_db_instance(
            db_instance_identifier, final_db_snapshot_identifier, skip_final_snapshot, **kwargs
        )
        return deleted

    def start_db_instance(self, db_instance_identifier: str) -> DBInstance:
        """Start a stopped DB instance; it is `starting` until its database answers."""
        started: DBInstance = super().start_db_instance(db_instance_identifier)
        started.status = "starting"
        return started

    def tick(self) -> bool:
        """Take over where databases answer; return whether one does not yet."""
        waiting = False
        for identifier, database in self.databases.items():
            endpoint = context.current().hooks.database_endpoint(identifier)
            if endpoint is not None:
                zone = "Z2R2ITUGPM61AM"
                database.where = {"Address": endpoint.host, "Port": endpoint.port, "HostedZoneId": zone}
                if database.status in ("creating", "starting"):
                    database.status = "available"
            waiting = waiting or database.status in ("creating", "starting")
        return waiting

    def group_parameters(self, name: str) -> list[dict[str, Any]]:
        """Return the parameters of a group: the engine's, with what users have set laid over them."""
        if name not in self.db_parameter_groups:
            raise DBParameterGroupNotFoundError(name)
        group: DBParameterGroup = self.db_parameter_groups[name]
        known = {parameter["ParameterName"]: dict(parameter) for parameter in MYSQL}
        for key, values in group.parameters.items():
            own = known.setdefault(key, {"ParameterName": key, "DataType": "string", "IsModifiable": True})
            own.update({**values, "Source": "user"})
        return sorted(known.values(), key=lambda parameter: str(parameter["ParameterName"]))

    def set_parameters(self, name: str, parameters: list[dict[str, Any]]) -> None:
        """Set parameters of a group; unknown ones and what cannot be changed are refused."""
        known = {parameter["ParameterName"]: parameter for parameter in self.group_parameters(name)}
        for parameter in parameters:
            own = known.get(parameter["ParameterName"])
            if own is None:
                message = f"Could not find parameter with name: {parameter['ParameterName']}"
                raise Refusal("InvalidParameterValue", message)
            if not own.get("IsModifiable", True):
                message = f"The parameter {parameter['ParameterName']} cannot be modified."
                raise Refusal("InvalidParameterValue", message)
            if own.get("ApplyType") == "static" and parameter.get("ApplyMethod") == "immediate":
                message = "cannot use immediate apply method for static parameter"
                raise Refusal("InvalidParameterCombination", message)
        self.modify_db_parameter_group(name, parameters)

    def reset_parameters(self, name: str, parameters: list[dict[str, Any]], *, everything: bool) -> None:
        """Set parameters of a group back to the engine's defaults."""
        self.group_parameters(name)
        group = self.db_parameter_groups[name]
        for key in list(group.parameters) if everything else [p["ParameterName"] for p in parameters]:
            group.parameters.pop(key, None)

    def view(self) -> list[views.Database]:
        """Return the DB instances, as the runtime needs to see them."""
        return [
            views.Database(
                identifier=database.db_instance_identifier,
                engine=database.engine,
                engine_version=database.engine_version,
                status=database.status,
                port=database.asked_port,
                zone=database.availability_zone,
                schema=database.db_name,
                username=database.master_username or "",
                # The public attribute only raises: AWS never gives the password back.
                password=database._master_user_password or "",
                allocated_storage_gb=int(database.allocated_storage),
                max_allocated_storage_gb=database.max_allocated_storage,
                parameters={
                    name: str(values.get("ParameterValue"))
                    for group in database.db_parameter_groups()
                    for name, values in group.parameters.items()
                },
            )
            for database in self.databases.values()
        ]


class LabRDSResponse(RDSResponse):  # type: ignore[misc]
    """Requests of RDS."""

    def describe_db_parameter_groups(self) -> ActionResult:
        """DescribeDBParameterGroups; one that is not there is refused."""
        name = self.params.get("DBParameterGroupName")
        if name and name not in self.backend.db_parameter_groups:
            raise DBParameterGroupNotFoundError(name)
        answer: ActionResult = super().describe_db_parameter_groups()
        return answer

    def describe_db_parameters(self) -> ActionResult:
        """DescribeDBParameters."""
        found = self.backend.group_parameters(self.params["DBParameterGroupName"])
        source = self.params.get("Source")
        found = [parameter for parameter in found if source in (None, parameter.get("Source", "engine-default"))]
        parameters, marker = page(found, self.params.get("Marker"), int(self.params.get("MaxRecords") or 100))
        return ActionResult({"Parameters": parameters, "Marker": marker})

    def describe_engine_default_parameters(self) -> ActionResult:
        """DescribeEngineDefaultParameters."""
        family = self.params["DBParameterGroupFamily"]
        return ActionResult({"EngineDefaults": {"DBParameterGroupFamily": family, "Parameters": list(MYSQL)}})

    def modify_db_parameter_group(self) -> ActionResult:
        """ModifyDBParameterGroup."""
        name = self.params["DBParameterGroupName"]
        self.backend.set_parameters(
            name, [parameter.original_dict() for parameter in self.params.get("Parameters", [])]
        )
        return ActionResult({"DBParameterGroupName": name})

    def reset_db_parameter_group(self) -> ActionResult:
        """ResetDBParameterGroup."""
        name = self.params["DBParameterGroupName"]
        parameters = [parameter.original_dict() for parameter in self.params.get("Parameters", [])]
        self.backend.reset_parameters(name, parameters, everything=self.params.get("ResetAllParameters", False))
        return ActionResult({"DBParameterGroupName": name})
