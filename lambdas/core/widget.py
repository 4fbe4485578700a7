"""
The frame around a CloudWatch custom widget: the door, the logger, and what people read when it fails.

CloudWatch calls such a function with the viewer's own permissions, at each refresh and for each button, and
shows the HTML that it answers. It sends `widgetContext` with every call, and `{"describe": true}` to whoever
asks what the widget is for (Amazon CloudWatch User Guide, "Details about custom widgets in CloudWatch").
"""

import functools
from collections.abc import Callable
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.core.errors import StepError
from lambdas.core.markup import Markup, element
from lambdas.core.observability import logger
from lambdas.core.site_markup import Theme, page, shortened
from lambdas.core.step import step_errors


def theme_of(event: dict[str, Any]) -> Theme:
    """Return the colours that the dashboard has; light, where it doesn't say."""
    context = event.get("widgetContext")
    return "dark" if isinstance(context, dict) and context.get("theme") == "dark" else "light"


def widget(
    documentation: str,
) -> Callable[[Callable[[dict[str, Any]], Markup]], Callable[[dict[str, Any], LambdaContext], str]]:
    """
    Make the Lambda handler of a custom widget; *documentation* is Markdown.

    An expected error is shown as one sentence: CloudWatch would show a failed function's traceback.
    """

    def frame(
        function: Callable[[dict[str, Any]], Markup],
    ) -> Callable[[dict[str, Any], LambdaContext], str]:
        @functools.wraps(function)
        def lambda_handler(event: dict[str, Any], _context: LambdaContext) -> str:
            if event.get("describe") is True:
                return documentation
            try:
                with step_errors():
                    return str(function(event))
            except StepError as error:
                logger.warning("the widget says why it can't", error=type(error).__name__, reason=str(error))
                sentence = element("p", element("strong", shortened(str(error))))
                return str(page(sentence, theme=theme_of(event)))

        handler: Callable[[dict[str, Any], LambdaContext], str] = logger.inject_lambda_context(
            lambda_handler, clear_state=True
        )
        return handler

    return frame
