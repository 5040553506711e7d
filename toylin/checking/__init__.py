"""Whether independent routes to one number agree."""

from toylin.checking._four_routes import Answer, RoutesReport, check_routes

__all__ = ["Answer", "RoutesReport", "check_routes"]
