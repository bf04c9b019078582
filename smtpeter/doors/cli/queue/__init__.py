"""`smtpeter queue`: what waits to be delivered, seen and steered while the gateway runs."""

from cyclopts import App

from smtpeter.doors.cli.queue import limits, look, move, pauses, routes, rules

queue = App(name="queue", help="What waits to be delivered, and how it goes out.")
queue.command(look.queue_list, name="list")
queue.command(look.show_one, name="show")
queue.command(move.flush)
queue.command(move.drop)
queue.command(pauses.pause)
queue.command(pauses.pauses)
queue.command(pauses.resume)

_limits = App(name="limits", help="How fast and by how many connections mail goes to a destination.")
_limits.default(limits.limits_list)
_limits.command(limits.limits_list, name="list")
_limits.command(limits.limits_set, name="set")
_limits.command(limits.limits_unset, name="unset")
queue.command(_limits)

_rules = App(name="rules", help="How replies of other servers are judged.")
_rules.command(rules.rules_list, name="list")
_rules.command(rules.rules_add, name="add")
_rules.command(rules.rules_remove, name="remove")
_rules.command(rules.rules_test, name="test")
queue.command(_rules)

_routes = App(name="routes", help="Where mail goes, and from which pool of local addresses.")
_routes.command(routes.routes_list, name="list")
_routes.command(routes.routes_add, name="add")
_routes.command(routes.routes_remove, name="remove")
queue.command(_routes)
