// tests/support/google_shapes.hpp - the published shapes of what is sent to Vertex AI, AI Platform
// v1 and Cloud Logging, and what is wrong with a document by them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <map>
#include <sstream>
#include <string>

#include "fairing/core/json.hpp"

namespace support {

/// One message of Google's discovery documents a line (aiplatform v1, ml v1, logging v2): its
/// fields, with * for a required one, and their types. "|" parts the values of an enumeration.
inline constexpr const char* google_shapes = R"(
CustomJob displayName*:string jobSpec*:CustomJobSpec labels:labels encryptionSpec:EncryptionSpec
CustomJobSpec workerPoolSpecs*:[]WorkerPoolSpec scheduling:Scheduling serviceAccount:string network:string reservedIpRanges:[]string baseOutputDirectory:GcsDestination tensorboard:string enableWebAccess:bool enableDashboardAccess:bool experiment:string experimentRun:string protectedArtifactLocationId:string persistentResourceId:string models:[]string
WorkerPoolSpec machineSpec:MachineSpec replicaCount:int64 nfsMounts:[]any diskSpec:DiskSpec containerSpec:ContainerSpec pythonPackageSpec:any
MachineSpec machineType:string acceleratorType:AcceleratorType acceleratorCount:int32 tpuTopology:string reservationAffinity:any
AcceleratorType ACCELERATOR_TYPE_UNSPECIFIED|NVIDIA_TESLA_K80|NVIDIA_TESLA_P100|NVIDIA_TESLA_V100|NVIDIA_TESLA_P4|NVIDIA_TESLA_T4|NVIDIA_TESLA_A100|NVIDIA_A100_80GB|NVIDIA_L4|NVIDIA_H100_80GB|TPU_V2|TPU_V3|TPU_V4_POD
DiskSpec bootDiskType:string bootDiskSizeGb:int32
ContainerSpec imageUri*:string command:[]string args:[]string env:[]EnvVar
EnvVar name*:string value*:string
Scheduling timeout:duration restartJobOnWorkerRestart:bool strategy:Strategy disableRetries:bool maxWaitDuration:duration
Strategy STRATEGY_UNSPECIFIED|ON_DEMAND|LOW_COST|STANDARD|SPOT|FLEX_START
GcsDestination outputUriPrefix*:string
EncryptionSpec kmsKeyName*:string
UploadModelRequest parentModel:string modelId:string model*:Model serviceAccount:string
Model displayName*:string description:string versionAliases:[]string versionDescription:string containerSpec:ModelContainerSpec artifactUri:string labels:labels encryptionSpec:EncryptionSpec metadata:any metadataSchemaUri:string predictSchemata:any explanationSpec:any
ModelContainerSpec imageUri*:string command:[]string args:[]string env:[]EnvVar ports:[]Port grpcPorts:[]Port predictRoute:string healthRoute:string invokeRoutePrefix:string deploymentTimeout:duration sharedMemorySizeMb:int64 startupProbe:any healthProbe:any livenessProbe:any
Port containerPort:int32
Endpoint displayName*:string description:string trafficSplit:split labels:labels encryptionSpec:EncryptionSpec network:string dedicatedEndpointEnabled:bool
DeployModelRequest deployedModel*:DeployedModel trafficSplit:split
DeployedModel dedicatedResources:DedicatedResources automaticResources:any sharedResources:string id:string model*:string modelVersionId:string displayName:string serviceAccount:string disableContainerLogging:bool enableAccessLogging:bool explanationSpec:any
DedicatedResources machineSpec*:MachineSpec minReplicaCount*:int32 maxReplicaCount:int32 requiredReplicaCount:int32 autoscalingMetricSpecs:[]any spot:bool
UndeployModelRequest deployedModelId*:string trafficSplit:split
PredictRequest instances*:[]any parameters:any
CancelRequest
ListLogEntriesRequest resourceNames*:[]string filter:string orderBy:Order pageSize:int32 pageToken:string
Order timestamp asc|timestamp desc
Job jobId*:string trainingInput:TrainingInput predictionInput:any labels:labels etag:string
TrainingInput scaleTier:ScaleTier masterType:string masterConfig:ReplicaConfig workerType:string workerConfig:ReplicaConfig workerCount:int64 parameterServerType:string parameterServerConfig:ReplicaConfig parameterServerCount:int64 evaluatorType:string evaluatorConfig:ReplicaConfig evaluatorCount:int64 packageUris:[]string pythonModule:string args:[]string hyperparameters:any region*:string jobDir:string runtimeVersion:string pythonVersion:string scheduling:any network:string serviceAccount:string useChiefInTfConfig:bool encryptionConfig:any enableWebAccess:bool
ScaleTier BASIC|STANDARD_1|PREMIUM_1|BASIC_GPU|BASIC_TPU|CUSTOM
ReplicaConfig acceleratorConfig:any imageUri:string tpuTfVersion:string containerCommand:[]string containerArgs:[]string diskConfig:any
MlModel name*:string description:string regions:[]string onlinePredictionLogging:bool onlinePredictionConsoleLogging:bool labels:labels
Version name*:string description:string deploymentUri:string runtimeVersion:string machineType:string labels:labels framework:Framework pythonVersion:string acceleratorConfig:any serviceAccount:string packageUris:[]string predictionClass:string autoScaling:any manualScaling:any container:VersionContainer routes:any requestLoggingConfig:any explanationConfig:any
Framework FRAMEWORK_UNSPECIFIED|TENSORFLOW|SCIKIT_LEARN|XGBOOST
VersionContainer image:string command:[]string args:[]string ports:[]Port env:[]EnvVar
)";

/// Holds documents against google_shapes.
class GoogleShapes {
public:
    GoogleShapes() {
        std::istringstream lines{google_shapes};
        for (std::string line; std::getline(lines, line);) {
            const std::size_t end = std::min(line.find(' '), line.size());
            shapes_[line.substr(0, end)] = line.substr(std::min(end + 1, line.size()));
        }
    }
    /// What is wrong with `value`, in Google's words; "" when nothing is.
    [[nodiscard]] std::string complaint(const fairing::Json& value, std::string type,
                                        const std::string& path) const {
        if (type.starts_with("[]")) {
            if (!value.is_array()) {
                return wrong(path);
            }
            for (const fairing::Json& each : value) {
                if (std::string found = complaint(each, type.substr(2), path); !found.empty()) {
                    return found;
                }
            }
            return {};
        }
        if (type == "labels" || type == "split") {
            return map_complaint(value, type, path);
        }
        const auto shape = shapes_.find(type);
        if (shape == shapes_.end()) {
            return is_of(value, type) ? "" : wrong(path);
        }
        if (shape->second.find('|') != std::string::npos) {
            const bool fine =
                value.is_string() &&
                ('|' + shape->second + '|').find('|' + value.get<std::string>() + '|') !=
                    std::string::npos;
            return fine ? "" : wrong(path);
        }
        return object_complaint(value, shape->second, path);
    }

private:
    static std::string wrong(const std::string& path) { return "Invalid value at '" + path + "'"; }
    static bool is_of(const fairing::Json& value, const std::string& type) {
        if (type == "any") {
            return true;
        }
        if (type == "duration") {
            return value.is_string() && value.get<std::string>().ends_with('s') &&
                   value.get<std::string>().find_first_not_of("0123456789.") ==
                       value.get<std::string>().size() - 1;
        }
        return type == "string" ? value.is_string()
               : type == "bool" ? value.is_boolean()
                                : value.is_number_integer();
    }
    static std::string map_complaint(const fairing::Json& value, const std::string& type,
                                     const std::string& path) {
        int whole = 0;
        for (const auto& [key, each] : value.items()) {
            if (type == "split" ? !each.is_number_integer() : !each.is_string()) {
                return wrong(path);
            }
            if (type == "split") {
                whole += each.get<int>();
            } else if ((key + each.get<std::string>())
                           .find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_-") !=
                       std::string::npos) {
                return "Invalid label " + key;
            }
        }
        return type == "split" && !value.empty() && whole != 100
                   ? "The sum of the traffic split must be 100"
                   : "";
    }
    [[nodiscard]] std::string object_complaint(const fairing::Json& value, const std::string& shape,
                                               const std::string& path) const {
        if (!value.is_object()) {
            return wrong(path);
        }
        std::map<std::string, std::string> types;
        std::istringstream fields{shape};
        for (std::string each; fields >> each;) {
            std::string name = each.substr(0, each.find(':'));
            if (name.ends_with('*')) {
                name.pop_back();
                if (!value.contains(name) || value[name].empty()) {
                    return "Required field is not set: " + path + '.' + name;
                }
            }
            types[name] = each.substr(each.find(':') + 1);
        }
        for (const auto& [key, each] : value.items()) {
            const auto type = types.find(key);
            if (type == types.end()) {
                return "Invalid JSON payload received. Unknown name \"" + key + "\" at '" + path +
                       "': Cannot find field.";
            }
            if (std::string found = complaint(each, type->second, path + '.' + key);
                !found.empty()) {
                return found;
            }
        }
        return {};
    }

    std::map<std::string, std::string> shapes_;
};

}  // namespace support
