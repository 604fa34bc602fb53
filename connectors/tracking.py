"""MLflow: runs, the registered model and its aliases.

MLflow is imported when tracking is opened, not before. Its database is made once, under a lock:
several processes that meet an empty database would each migrate it, and fail.
"""

import json
import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import pandas as pd
from filelock import FileLock
from sqlalchemy.exc import SQLAlchemyError

from connectors.addresses import redacted, redacted_address
from connectors.reachable import why_unreachable

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from mlflow import MlflowClient

MODEL = "perennial"
EXPERIMENT = "perennial"
MAX_TAG = 4_900  # characters
MAX_BATCH = 1_000  # metrics in a request
CHAMPION = "champion"
CHALLENGER = "challenger"
PREVIOUS = "previous"
REFUSED = "failed"  # of the tag `gate`
FIRST_ASKED = f"/api/2.0/mlflow/experiments/get-by-name?experiment_name={EXPERIMENT}"


@dataclass(frozen=True)
class Run:
    """An MLflow run that is being written.

    Attributes
    ----------
    id
        MLflow's run id.
    client
        Writes to it.
    """

    id: str
    client: "MlflowClient"

    def log(
        self,
        *,
        params: Mapping[str, Any] | None = None,
        metrics: Mapping[str, float | None] | None = None,
    ) -> None:
        """Log parameters and metrics in one request; metrics that are None are left out."""
        from mlflow.entities import Metric, Param

        started = self.client.get_run(self.id).info.start_time
        available = {name: value for name, value in (metrics or {}).items() if value is not None}
        self.client.log_batch(
            self.id,
            metrics=[Metric(name, float(value), started, 0) for name, value in available.items()],
            params=[Param(name, str(value)) for name, value in (params or {}).items()],
        )

    def log_series(self, series: Mapping[str, Mapping[int, float]]) -> None:
        """Log the values of metrics by step, 1,000 to a request."""
        from mlflow.entities import Metric

        started = self.client.get_run(self.id).info.start_time
        points = [
            Metric(name, float(value), started, step)
            for name, values in series.items()
            for step, value in values.items()
        ]
        for first in range(0, len(points), MAX_BATCH):
            self.client.log_batch(self.id, metrics=points[first : first + MAX_BATCH])

    def log_child(
        self,
        name: str,
        tags: Mapping[str, str],
        params: Mapping[str, Any],
        metrics: Mapping[str, float | None],
    ) -> None:
        """Log a whole run under this one, in three requests."""
        from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

        parent = self.client.get_run(self.id).info
        made = self.client.create_run(
            parent.experiment_id, run_name=name, tags={**tags, MLFLOW_PARENT_RUN_ID: self.id}
        )
        Run(made.info.run_id, self.client).log(params=params, metrics=metrics)
        self.client.set_terminated(made.info.run_id)

    def log_text(self, text: str, name: str) -> None:
        """Keep a text as an artifact."""
        self.client.log_text(self.id, text, name)

    def log_data(self, name: str, source: str, digest: str, context: str) -> None:
        """Refer to the data that the run read, by their own digest."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        dataset = Dataset(name, digest, source_type="local", source=json.dumps({"uri": source}))
        tag = InputTag("mlflow.data.context", context)
        self.client.log_inputs(self.id, [DatasetInput(dataset, [tag])])

    def log_json(self, value: Any, name: str) -> None:  # noqa: ANN401  # any JSON value
        """Keep a JSON value as an artifact."""
        self.client.log_text(self.id, json.dumps(value, indent=2), name)

    def log_figure(self, figure: "Figure", name: str) -> None:
        """Keep a picture as an artifact."""
        self.client.log_figure(self.id, figure, name)

    def log_file(self, path: Path) -> None:
        """Keep a file as an artifact."""
        self.client.log_artifact(self.id, str(path))


class TrackingError(RuntimeError):
    """MLflow does not answer: says where, and what to do."""


class Tracking:
    """The tracking store and the registry behind one address.

    Parameters
    ----------
    uri
        MLflow tracking address.
    artifacts
        Folder of a local store's artifacts; None where the server keeps its own.

    Raises
    ------
    TrackingError
        Nothing answers there.
    """

    def __init__(self, uri: str, artifacts: Path | None) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("DO_NOT_TRACK", "true")
        if artifacts is not None:
            artifacts.mkdir(parents=True, exist_ok=True)
        # MLflow itself tries for minutes, which is right in the middle of a run only.
        why = None if _is_in_use(uri) else why_unreachable(uri, FIRST_ASKED)
        if why is not None:
            raise _not_answering(uri, why)
        import mlflow  # costs two seconds and 200 MB

        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.WARNING)
        # It prints the traceback of each error that it raises.
        logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
        self._mlflow = mlflow
        self.uri = uri
        self.is_local = artifacts is not None
        self._select()
        # The first client of a local database makes its tables.
        with nullcontext() if artifacts is None else FileLock(artifacts / ".init.lock"):
            try:
                self.client = mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)
                self.experiment_id = self._find_experiment(artifacts)
            except (mlflow.exceptions.MlflowException, SQLAlchemyError, ImportError) as error:
                raise _not_answering(uri, str(error).splitlines()[0]) from error

    def _select(self) -> None:
        """Make this the store that MLflow's own functions speak to, leaving the environment as it is.

        MLflow would also set ``MLFLOW_TRACKING_URI``, which another store's settings then obey.
        """
        before = os.environ.get("MLFLOW_TRACKING_URI")
        self._mlflow.set_tracking_uri(self.uri)
        self._mlflow.set_registry_uri(self.uri)
        os.environ.pop("MLFLOW_TRACKING_URI", None)
        if before is not None:
            os.environ["MLFLOW_TRACKING_URI"] = before

    def _find_experiment(self, artifacts: Path | None) -> str:
        experiment = self.client.get_experiment_by_name(EXPERIMENT)
        if experiment is not None:
            return str(experiment.experiment_id)
        location = None if artifacts is None else artifacts.joinpath("artifacts").as_uri()
        return str(self.client.create_experiment(EXPERIMENT, artifact_location=location))

    @contextmanager
    def run(
        self, name: str, tags: Mapping[str, str] | None = None, parent: Run | None = None
    ) -> Iterator[Run]:
        """Write a run; it ends as failed if an error passes through."""
        self._select()
        with self._mlflow.start_run(
            experiment_id=self.experiment_id,
            run_name=name,
            tags=dict(tags or {}),
            nested=parent is not None,
            parent_run_id=None if parent is None else parent.id,
        ) as active:
            yield Run(active.info.run_id, self.client)

    def register(
        self,
        run: Run,
        code: Path,
        artifacts: Mapping[str, Path],
        signature: Mapping[str, Any],
        example: Mapping[str, float],
        requirements: list[str],
        tags: Mapping[str, str],
    ) -> str:
        """Register a model from code and the files it reads.

        Parameters
        ----------
        run
            The active run, which the model belongs to.
        code
            Python file that sets the model.
        artifacts
            Files by the name that the code knows them by.
        signature
            ``inputs``, ``outputs`` (``{column: is required}``, all double) and ``params`` (``{name: default}``).
        example
            One row of inputs, to show what they look like.
        requirements
            What serving it needs.
        tags
            Of the model version.

        Returns
        -------
        str
            The new version.
        """
        self._select()
        info = self._mlflow.pyfunc.log_model(
            name=MODEL,
            python_model=str(code),
            artifacts={name: path.resolve().as_uri() for name, path in artifacts.items()},
            signature=_signature(**signature),
            input_example=pd.DataFrame([example]),
            pip_requirements=requirements,
        )
        if not self.client.search_registered_models(f"name = '{MODEL}'"):
            self.client.create_registered_model(MODEL)
        registered = self.client.create_model_version(
            MODEL,
            source=info.model_uri,
            run_id=run.id,
            tags={**tags, "run_id": run.id},
            model_id=info.model_id,
        )
        return str(registered.version)

    def champion(self) -> str | None:
        """Return the version that scores, if there is one."""
        return self._alias(CHAMPION)

    def challenge(self, version: str) -> None:
        """Make a version the challenger."""
        self.client.set_registered_model_alias(MODEL, CHALLENGER, version)

    def promote(self, version: str) -> None:
        """Make a version the champion; the one before stays known as ``previous``."""
        before = self.champion()
        if before is not None and before != version:
            self.client.set_registered_model_alias(MODEL, PREVIOUS, before)
        self.client.set_registered_model_alias(MODEL, CHAMPION, version)

    def previous(self) -> str | None:
        """Return the version that scored before the champion, if there is one."""
        return self._alias(PREVIOUS)

    def has(self, version: str) -> bool:
        """Tell whether a version is registered."""
        versions = self.client.search_model_versions(f"name = '{MODEL}'")
        return version in {str(one.version) for one in versions}

    def note(self, version: str, tags: Mapping[str, str]) -> None:
        """Set tags of a version; what is longer than MLflow keeps is cut."""
        for name, value in tags.items():
            self.client.set_model_version_tag(MODEL, version, name, value[:MAX_TAG])

    def tags(self, version: str) -> dict[str, str]:
        """Return the tags of a version."""
        return dict(self.client.get_model_version(MODEL, version).tags)

    def valid_on(self, as_of: str, training_digest: str) -> str | None:
        """Return the champion, or where it does not fit the newest version that does.

        A version that the gate refused fits no day.

        Parameters
        ----------
        as_of
            Day to score, ISO 8601: a fit model knows no later orders.
        training_digest
            What a fit model was trained for.
        """
        champion = self.champion()
        if champion is not None and _fits(self.tags(champion), as_of, training_digest):
            return champion
        versions = self.client.search_model_versions(f"name = '{MODEL}'")
        usable = [v for v in versions if _fits(v.tags, as_of, training_digest)]
        newest = max(usable, key=lambda v: (v.tags["as_of"], int(v.version)), default=None)
        return None if newest is None else str(newest.version)

    def newest(self, training_digest: str) -> tuple[str, str] | None:
        """Return the version trained on the latest orders, and their last day; None where there is none.

        Parameters
        ----------
        training_digest
            What it was trained for. Whether a gate let it does not matter.
        """
        versions = self.client.search_model_versions(f"name = '{MODEL}'")
        trained = [v for v in versions if v.tags.get("training_digest") == training_digest]
        newest = max(trained, key=lambda v: (v.tags["as_of"], int(v.version)), default=None)
        return None if newest is None else (str(newest.version), str(newest.tags["as_of"]))

    def fetch(self, version: str) -> Path:
        """Return a local folder with the files of a version."""
        self._select()
        return Path(self._mlflow.artifacts.download_artifacts(f"models:/{MODEL}/{version}"))

    def run_artifact(self, run_id: str, name: str) -> Path | None:
        """Return a local copy of a run's artifact, if it has it."""
        self._select()
        folder = str(PurePosixPath(name).parent) if "/" in name else None
        if name not in {item.path for item in self.client.list_artifacts(run_id, folder)}:
            return None
        return Path(self._mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path=name))

    def _alias(self, alias: str) -> str | None:
        from mlflow.exceptions import MlflowException

        try:
            return str(self.client.get_model_version_by_alias(MODEL, alias).version)
        except MlflowException as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return None
            raise


def _is_in_use(uri: str) -> bool:
    """Tell whether this process has spoken to that store already."""
    mlflow = sys.modules.get("mlflow")
    return mlflow is not None and mlflow.get_tracking_uri() == uri


def _not_answering(uri: str, why: str) -> TrackingError:
    shown = redacted_address(uri)
    return TrackingError(
        f"MLflow must answer at {shown}: {redacted(why.replace(uri, shown))}. Start it, or mend or unset MLFLOW_TRACKING_URI"
    )


def _fits(tags: Mapping[str, str], as_of: str, training_digest: str) -> bool:
    is_same = tags.get("training_digest") == training_digest
    if tags.get("gate") == REFUSED:
        return False
    return is_same and tags.get("as_of", "9999") <= as_of


def _signature(
    inputs: Mapping[str, bool], outputs: Mapping[str, bool], params: Mapping[str, Any]
) -> Any:  # noqa: ANN401  # mlflow.models.ModelSignature, imported late
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema

    def columns(names: Mapping[str, bool]) -> Schema:
        return Schema([ColSpec(DataType.double, n, required=r) for n, r in names.items()])

    kinds = {int: DataType.long, float: DataType.double, str: DataType.string}
    return ModelSignature(
        inputs=columns(inputs),
        outputs=columns(outputs),
        params=ParamSchema([ParamSpec(n, kinds[type(v)], v) for n, v in params.items()]),
    )
