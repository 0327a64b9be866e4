"""Rolling an image out over AUTOChOp, and back.

Reads from the outside in: `operations` (what a playbook calls) drives `engine` (the loop), which asks `watch` (what
to do
next, pure) about an `Observation` (`model`) that `world` reads from AWS, and carries the answer out. `preflight`,
`plan` and
`forecast` are pure as well; `checks` asks through the balancer, `lock` says who rolls.
"""
