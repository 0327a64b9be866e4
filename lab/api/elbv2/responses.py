"""Requests of Elastic Load Balancing v2 that moto answers differently from AWS."""

from types import SimpleNamespace
from typing import Any

from moto.core.responses import ActionResult
from moto.elb import urls
from moto.elb.models import ELBBackend
from moto.elbv2.models import elbv2_backends
from moto.elbv2.responses import ELBV2Response

from lab.api.elbv2.backend import LabELBv2Backend
from lab.api.paging import page


class LabELBv2Response(ELBV2Response):  # type: ignore[misc]
    """Requests of Elastic Load Balancing v2."""

    @property
    def backend(self) -> LabELBv2Backend:
        """The backend of the request's account and region."""
        backend: LabELBv2Backend = elbv2_backends[self.current_account][self.region]
        return backend

    def describe_target_health(self) -> ActionResult:
        """Tell what the balancer measures, and who drains or is not used."""
        arn = self._get_param("TargetGroupArn")
        registrations = self.backend.registrations_of(arn)
        wanted = [self.backend.key(arn, t) for t in self._get_param("Targets", [])]
        port = self.backend.target_groups[arn].health_check_port
        answers = []
        for key in wanted or list(registrations.by_key):
            state, reason, description = self.backend.health(arn, key)
            health = {"State": state, "Reason": reason or None, "Description": description or None}
            check_port = str(key[1]) if port in (None, "traffic-port") else str(port)
            answers.append(
                {"Target": {"Id": key[0], "Port": key[1]}, "HealthCheckPort": check_port, "TargetHealth": health}
            )
        return ActionResult({"TargetHealthDescriptions": answers})

    def describe_target_groups(self) -> ActionResult:
        """Tell target groups, with the balancers that use them now."""
        groups = self.backend.describe_target_groups(
            self._get_param("LoadBalancerArn"), self._get_param("TargetGroupArns", []), self._get_param("Names", [])
        )
        for group in groups:
            group.load_balancer_arns = self.backend.balancers_of(group.arn)
        found, token = page(list(groups), self._get_param("Marker"), self._get_int_param("PageSize"))
        return ActionResult({"TargetGroups": found, "NextMarker": token})


class LabELBBackend(ELBBackend):  # type: ignore[misc]
    """The host name's first owner in moto, Classic Load Balancers: hands everything to the handler above."""

    @property
    def _url_module(self) -> Any:
        return SimpleNamespace(url_bases=urls.url_bases, url_paths={"{0}/$": LabELBv2Response.dispatch})
