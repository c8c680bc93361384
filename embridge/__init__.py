"""EMBridge and CPEP: recognising hand gestures from forearm EMG by aligning it with hand pose.

The package is thin on purpose: notebooks tell the story, these modules hold the parts they call.
Nothing heavy is imported here, so that the command line can check its arguments before any set-up.
"""

__version__ = "0.2.0"


def __getattr__(name: str):
    if name == "load":  # with it comes torch
        from embridge.pretrained import load

        return load
    if name == "export":
        from embridge.exported import export

        return export
    raise AttributeError(f"module 'embridge' has no attribute {name!r}")
