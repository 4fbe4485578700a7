"""Every fault at every AWS call of a run that makes a new site, and of one that fails and is undone."""

from sandbox.aws.errors import ErrorAnswer
from sandbox.aws.faults import Refused
from tests.proofs.fault_matrix import Scenario
from tests.proofs.site_world import EMPTY

DENIED = Refused(answer=ErrorAnswer(status=400, code="AccessDeniedException", message="Not authorized."))
NEW = Scenario(start=EMPTY, request={"site": "tokyo"}, then={"site": "tokyo"})
