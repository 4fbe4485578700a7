"""The parameters that AWS publishes for everybody, as far as the product reads them."""

POWERTOOLS_PARAMETERS = "/aws/service/powertools/"


def public_parameter(name: str, region: str) -> str | None:
    """
    Return the value of one of AWS's own parameters:
    `/aws/service/powertools/python/<arch>/<runtime>/<version>`.
    """
    if not name.startswith(POWERTOOLS_PARAMETERS):
        return None
    language, architecture, runtime, version = name.removeprefix(POWERTOOLS_PARAMETERS).split("/")
    if language != "python":
        return None
    layer = f"AWSLambdaPowertoolsPythonV3-{runtime.replace('.', '')}-{architecture}"
    number = version.split(".")[1] if version.count(".") == 2 else "1"
    return f"arn:aws:lambda:{region}:017000801446:layer:{layer}:{number}"
