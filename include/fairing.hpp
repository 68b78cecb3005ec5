// fairing.hpp - the whole library; this list is its table of contents.
//
// Context → Image → Workload: a preprocessor prepares a Context, a builder turns it into an Image,
// a deployer turns that into a Workload. Start with fairing/stage/concepts.hpp;
// fairing/pipeline.hpp puts the three together.
#pragma once

// The pipeline.
#include "fairing/backends.hpp"
#include "fairing/config.hpp"
#include "fairing/pipeline.hpp"
#include "fairing/run_main.hpp"
#include "fairing/stages.hpp"
#include "fairing/tasks.hpp"

// The stages.
#include "fairing/builders/append.hpp"
#include "fairing/builders/cluster.hpp"
#include "fairing/builders/context_sources/azure.hpp"
#include "fairing/builders/context_sources/gcs.hpp"
#include "fairing/builders/context_sources/s3.hpp"
#include "fairing/builders/engine.hpp"
#include "fairing/deployers/ai_platform.hpp"
#include "fairing/deployers/experiment.hpp"
#include "fairing/deployers/find_vertex_endpoint.hpp"
#include "fairing/deployers/find_workload.hpp"
#include "fairing/deployers/inference_service.hpp"
#include "fairing/deployers/job.hpp"
#include "fairing/deployers/local.hpp"
#include "fairing/deployers/pipeline.hpp"
#include "fairing/deployers/serving.hpp"
#include "fairing/deployers/serving/predict_protocol.hpp"
#include "fairing/deployers/training_jobs.hpp"
#include "fairing/deployers/trainjob.hpp"
#include "fairing/deployers/vertex.hpp"
#include "fairing/deployers/vertex_serving.hpp"
#include "fairing/preprocessors/entry.hpp"
#include "fairing/preprocessors/full_notebook.hpp"
#include "fairing/preprocessors/function.hpp"
#include "fairing/preprocessors/input.hpp"
#include "fairing/preprocessors/notebook.hpp"
#include "fairing/preprocessors/python.hpp"
#include "fairing/preprocessors/python_function.hpp"

// Programs that bring a pipeline of their own.
#include "fairing/frameworks/lightgbm.hpp"

// What a cluster deployer takes.
#include "fairing/pods/cloud_credentials.hpp"
#include "fairing/pods/kubernetes_options.hpp"
#include "fairing/pods/patch.hpp"
#include "fairing/pods/pod_template.hpp"

// What goes from stage to stage.
#include "fairing/stage/any.hpp"
#include "fairing/stage/cloud_access.hpp"
#include "fairing/stage/concepts.hpp"
#include "fairing/stage/fields.hpp"
#include "fairing/stage/image.hpp"
#include "fairing/stage/registry_access.hpp"
#include "fairing/stage/session.hpp"
#include "fairing/stage/worker.hpp"
#include "fairing/stage/workload.hpp"

// What they are made of.
#include "fairing/core/yaml.hpp"
#include "fairing/keychain/cloud_registries.hpp"
#include "fairing/kube/names.hpp"
#include "fairing/kube/state.hpp"
#include "fairing/registry/copy.hpp"
#include "fairing/registry/tags.hpp"
