"""Settings as environment variables, so that a child process sees exactly its parent's."""

from service.settings import Settings


def settings_environment(settings: Settings) -> dict[str, str]:
    """Return the `AMLP_...` variables that make `Settings()` equal to `settings`."""
    values = settings.model_dump(mode="json", exclude_none=True)
    return {f"AMLP_{name.upper()}": str(value) for name, value in values.items()}


def training_environment(settings: Settings) -> dict[str, str]:
    """Return the variables of a training process: settings, threads, the device it may see."""
    variables = settings_environment(settings)
    # threads that spin while they wait slow a step down eightfold when another process is busy
    variables["OMP_WAIT_POLICY"] = "PASSIVE"
    if settings.num_threads:
        variables["OMP_NUM_THREADS"] = str(settings.num_threads)
    match settings.device.partition(":"):
        case ("cpu", _, _):
            variables["CUDA_VISIBLE_DEVICES"] = ""
        case ("cuda", _, str(index)) if index:
            variables["CUDA_VISIBLE_DEVICES"] = index
        case _:
            pass
    return variables
