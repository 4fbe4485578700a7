"""
What CloudWatch takes out of a custom widget's HTML before it shows it.

AWS documents that JavaScript and "other known security vulnerabilities" are removed, `<iframe>` and `<use>`
among them, that CSS, SVG and forms stay, and what `<cwdb-action>` carries; it publishes no list. This is the
stricter reading: what is not known to be kept is removed, so that a widget that shows well here doesn't
depend on luck there.
"""

import nh3

ACTION = "cwdb-action"
_ACTION_ATTRIBUTES = {"action", "confirmation", "display", "endpoint", "event"}

_TEXT = (
    "a abbr address article aside b bdi bdo blockquote br caption center cite code col colgroup dd del "
    "details dfn div dl dt em figcaption figure footer h1 h2 h3 h4 h5 h6 header hr i img ins kbd li "
    "main mark nav ol p pre q rp rt ruby s samp section small span strike strong style sub summary sup "
    "table tbody td tfoot th thead time tr tt u ul var wbr"
)
_FORM = (
    "button datalist fieldset form input label legend meter optgroup option output progress select textarea"
)
_SVG = (
    "circle clipPath defs desc ellipse g line linearGradient marker mask path pattern polygon polyline "
    "radialGradient rect stop svg symbol text textPath tspan"
)
_TAGS = {ACTION, *_TEXT.split(), *_FORM.split(), *_SVG.split()}

_ANYWHERE = (
    "class dir hidden id lang role style tabindex title "
    # Drawings.
    "clip-path cx cy d dominant-baseline dx dy fill fill-opacity fill-rule font-size font-weight "
    "gradientUnits height marker-end marker-start offset opacity points preserveAspectRatio r rx ry "
    "stop-color stop-opacity stroke stroke-dasharray stroke-dashoffset stroke-linecap stroke-linejoin "
    "stroke-opacity stroke-width text-anchor transform viewBox width x x1 x2 xmlns y y1 y2"
)
_ATTRIBUTES: dict[str, set[str]] = {
    "*": set(_ANYWHERE.split()),
    ACTION: _ACTION_ATTRIBUTES,
    "a": {"href", "target"},
    "button": {"disabled", "name", "type", "value"},
    "col": {"span"},
    "colgroup": {"span"},
    "details": {"open"},
    "fieldset": {"disabled"},
    "img": {"alt", "src"},
    "input": {
        *("checked", "disabled", "max", "maxlength", "min", "name", "pattern", "placeholder", "readonly"),
        *("required", "size", "step", "type", "value"),
    },
    "label": {"for"},
    "meter": {"high", "low", "max", "min", "optimum", "value"},
    "ol": {"start", "type"},
    "optgroup": {"disabled", "label"},
    "option": {"disabled", "label", "selected", "value"},
    "progress": {"max", "value"},
    "select": {"disabled", "multiple", "name", "size"},
    "table": {"border", "cellpadding", "cellspacing"},
    "td": {"align", "colspan", "headers", "rowspan", "valign"},
    "textarea": {"cols", "disabled", "maxlength", "name", "placeholder", "readonly", "rows"},
    "th": {"align", "colspan", "headers", "rowspan", "scope", "valign"},
    "time": {"datetime"},
}
# Gone with all that is in them; of any other tag that is not kept, the contents stay.
_WITH_CONTENTS = {"iframe", "math", "noembed", "noscript", "object", "script", "template", "title", "xmp"}

_CLEANER = nh3.Cleaner(
    tags=_TAGS,
    attributes=_ATTRIBUTES,
    clean_content_tags=_WITH_CONTENTS,
    generic_attribute_prefixes={"aria-", "data-"},
    url_schemes={"data", "http", "https", "mailto"},
    attribute_filter=lambda _tag, attribute, value: (
        # An image may be in the page itself; a link to a document in itself could run what it likes.
        None if value.strip().lower().startswith("data:") and attribute != "src" else value
    ),
)


def clean(html: str) -> str:
    """Return *html* as CloudWatch would show it: no script, no handler, no frame, no foreign document."""
    return _CLEANER.clean(html)
