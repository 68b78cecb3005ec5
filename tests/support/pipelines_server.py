"""The API server of Kubeflow Pipelines, as far as its own packages say what that is: requests and answers are those of
kfp_server_api's models, and a pipeline is taken when kfp takes it.

usage: pipelines_server.py PORT_FILE; the states of a run and the token come from the environment (STATES, TOKEN).
GET /test tells which runs there are."""

import http.server
import json
import os
import sys
import urllib.parse
import uuid

import kfp_server_api as api
import yaml
from google.protobuf import json_format
from kfp import components
from kfp.pipeline_spec import pipeline_spec_pb2

states = os.environ.get("STATES", "PENDING,RUNNING,SUCCEEDED").split(",")
token = os.environ.get("TOKEN", "")
runs, experiments = {}, {}
client = api.ApiClient()


class Refusal(Exception):
    def __init__(self, status, code, message):
        super().__init__(message)
        self.answer = (status, {"error": message, "code": code, "message": message, "details": []})


def model_of(kind, document):
    """The model of a request. Its server knows no other fields."""
    model = getattr(api, kind)
    if unknown := set(document) - set(model.attribute_map.values()):
        raise Refusal(400, 3, f"unknown fields of {kind}: {sorted(unknown)}")
    for key, value in document.items():
        inner = next(model.openapi_types[name] for name, given in model.attribute_map.items() if given == key)
        if hasattr(api, inner) and isinstance(value, dict):
            model_of(inner, value)
    return model(**{name: document[key] for name, key in model.attribute_map.items() if key in document})


def filtered(query, items):
    """By the filter in a query, of which this server knows one form."""
    if not query.get("filter"):
        return items
    (predicate,) = json.loads(query["filter"])["predicates"]
    if (predicate["operation"], predicate["key"]) != ("EQUALS", "display_name"):
        raise Refusal(400, 3, f"not a filter: {predicate}")
    return [item for item in items if item.display_name == predicate["stringValue"]]


def check_pipeline(spec):
    try:
        json_format.ParseDict(spec, pipeline_spec_pb2.PipelineSpec())
        # Which is any document to that.
        json_format.ParseDict(spec["deploymentSpec"], pipeline_spec_pb2.PipelineDeploymentConfig())
        components.load_component_from_text(yaml.safe_dump(spec))
    except Exception as error:
        raise Refusal(400, 3, f"invalid pipeline spec: {error}") from error


def make_run(document):
    run = model_of("V2beta1Run", document)
    check_pipeline(run.pipeline_spec)
    if run.experiment_id and run.experiment_id not in experiments:
        raise Refusal(404, 5, "no such experiment")
    run.run_id = str(uuid.uuid4())
    run.storage_state = "AVAILABLE"
    run.created_at = f"2026-01-01T00:00:{len(runs):02}Z"
    run.state = states[0]
    run.looks = 0
    runs[run.run_id] = run
    return run


def look(run):
    if run.state not in ("CANCELED", "CANCELING"):
        run.state = states[min(run.looks, len(states) - 1)]
    elif run.state == "CANCELING":
        run.state = "CANCELED"
    run.looks += 1
    if run.state == "FAILED":
        run.error = api.GoogleRpcStatus(code=13, message="the workflow failed")
        run.run_details = api.V2beta1RunDetails(task_details=[
            api.V2beta1PipelineTaskDetail(display_name="root", state="FAILED"),
            api.V2beta1PipelineTaskDetail(
                display_name="program", state="FAILED",
                error=api.GoogleRpcStatus(code=13, message="main: Error (exit code 3)"))])
    return run


def answer(method, path, query, body):
    parts = path.removeprefix("/apis/v2beta1/").split("/")
    if parts == ["experiments"] and method == "POST":
        experiment = model_of("V2beta1Experiment", body)
        experiment.experiment_id = str(uuid.uuid4())
        experiments[experiment.experiment_id] = experiment
        return experiment
    if parts == ["experiments"]:
        return api.V2beta1ListExperimentsResponse(experiments=filtered(query, list(experiments.values())))
    if parts == ["runs"] and method == "POST":
        return make_run(body)
    if parts == ["runs"]:
        return api.V2beta1ListRunsResponse(runs=filtered(query, list(runs.values())))
    identifier, _, verb = parts[-1].partition(":")
    if parts[0] != "runs" or identifier not in runs:
        raise Refusal(404, 5, "no such run")
    run = runs[identifier]
    if method == "DELETE":
        del runs[identifier]
    elif verb == "terminate":
        run.state = "CANCELING"
    elif verb == "archive":
        run.storage_state = "ARCHIVED"
    elif method == "GET" and not verb:
        return look(run)
    else:
        raise Refusal(404, 5, "Not Found")
    return {}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def serve(self):
        path, _, query = self.path.partition("?")
        size = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(size) or "{}")
        if path == "/test":
            self.say(200, {"runs": [client.sanitize_for_serialization(r) for r in runs.values()]})
            return
        try:
            if token and self.headers.get("Authorization") != f"Bearer {token}":
                raise Refusal(401, 16, "there is no user identity")
            result = answer(self.command, path, dict(urllib.parse.parse_qsl(query)), body)
            self.say(200, client.sanitize_for_serialization(result))
        except Refusal as refusal:
            self.say(*refusal.answer)

    def say(self, status, document):
        data = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_DELETE = serve


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
with open(sys.argv[1] + ".new", "w", encoding="utf-8") as file:
    file.write(str(server.server_port))
os.rename(sys.argv[1] + ".new", sys.argv[1])
server.serve_forever()
