"""How addresses are set in running text."""

import re

from django import template
from django.utils.html import format_html_join
from django.utils.safestring import SafeString, mark_safe

register = template.Library()

# After a slash or a dash, before a dot or the parts of a query: where a reader would break the line too.
_BREAKS = re.compile(r"(?<=[/\-_])(?![/\-_])|(?=[?&.=])")


@register.filter
def breakable(text: object) -> SafeString:
    """The text with chances to break a line between the parts of an address; copying it adds nothing."""
    return format_html_join(mark_safe("<wbr>"), "{}", ((part,) for part in _BREAKS.split(str(text))))
