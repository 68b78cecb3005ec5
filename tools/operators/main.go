// operators - the controllers of Kubeflow's training operator and its MPI operator as one process, for the tests.
//
// Their own programs want a Service, mounted certificates and a leader's lease, which only a whole cluster has. Here
// the same controllers and the same validating webhooks listen on the loopback, with a certificate that is given.
package main

import (
	"flag"

	mpiclient "github.com/kubeflow/mpi-operator/pkg/client/clientset/versioned"
	mpischeme "github.com/kubeflow/mpi-operator/pkg/client/clientset/versioned/scheme"
	mpiinformers "github.com/kubeflow/mpi-operator/pkg/client/informers/externalversions"
	mpicontroller "github.com/kubeflow/mpi-operator/pkg/controller"
	kubeflowv1 "github.com/kubeflow/training-operator/pkg/apis/kubeflow.org/v1"
	"github.com/kubeflow/training-operator/pkg/config"
	controllerv1 "github.com/kubeflow/training-operator/pkg/controller.v1"
	"github.com/kubeflow/training-operator/pkg/controller.v1/common"
	"github.com/kubeflow/training-operator/pkg/webhooks"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/webhook"
)

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// MPIJobs of kubeflow.org/v2beta1. That CRD and v1's have one name, so a cluster has one of the two.
func runMPI(cfg *rest.Config, stop <-chan struct{}) {
	must(mpischeme.AddToScheme(clientgoscheme.Scheme))
	kube := kubernetes.NewForConfigOrDie(cfg)
	jobs := mpiclient.NewForConfigOrDie(cfg)
	kubeInformers := informers.NewSharedInformerFactory(kube, 0)
	jobInformers := mpiinformers.NewSharedInformerFactory(jobs, 0)
	core := kubeInformers.Core().V1()
	controller, err := mpicontroller.NewMPIJobController(kube, jobs, nil, nil, core.ConfigMaps(), core.Secrets(),
		core.Services(), kubeInformers.Batch().V1().Jobs(), core.Pods(), kubeInformers.Scheduling().V1().PriorityClasses(),
		jobInformers.Kubeflow().V2beta1().MPIJobs(), "", "")
	must(err)
	kubeInformers.Start(stop)
	jobInformers.Start(stop)
	must(controller.Run(2, stop))
}

func main() {
	mpi := flag.Bool("mpi-v2beta1", false, "the MPI operator instead of the training operator")
	port := flag.Int("webhook-port", 9443, "port of the validating webhooks")
	certificates := flag.String("webhook-certificates", "", "folder of their certificate, apiserver.crt and .key")
	flag.Parse() // and -kubeconfig, which is controller-runtime's
	ctrl.SetLogger(zap.New(zap.UseDevMode(true)))
	cfg := ctrl.GetConfigOrDie()
	cfg.QPS, cfg.Burst = 100, 200
	signals := ctrl.SetupSignalHandler()
	if *mpi {
		runMPI(cfg, signals.Done())
		return
	}

	config.Config.PyTorchInitContainerImage = config.PyTorchInitContainerImageDefault
	config.Config.PyTorchInitContainerTemplateFile = config.PyTorchInitContainerTemplateFileDefault
	config.Config.PyTorchInitContainerMaxTries = config.PyTorchInitContainerMaxTriesDefault
	config.Config.MPIKubectlDeliveryImage = config.MPIKubectlDeliveryImageDefault
	scheme := runtime.NewScheme()
	must(clientgoscheme.AddToScheme(scheme))
	must(kubeflowv1.AddToScheme(scheme))
	manager, err := ctrl.NewManager(cfg, ctrl.Options{
		Scheme:  scheme,
		Metrics: metricsserver.Options{BindAddress: "0"},
		WebhookServer: webhook.NewServer(webhook.Options{
			Host: "127.0.0.1", Port: *port, CertDir: *certificates, CertName: "apiserver.crt", KeyName: "apiserver.key",
		}),
	})
	must(err)
	for kind, setUp := range controllerv1.SupportedSchemeReconciler {
		must(setUp(manager, common.GenNonGangSchedulerSetupFunc(), 1))
		must(webhooks.SupportedSchemeWebhook[kind](manager))
	}
	must(manager.Start(signals))
}
