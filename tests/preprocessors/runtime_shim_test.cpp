#include "fairing/preprocessors/runtime_shim.hpp"

#include <doctest/doctest.h>

#include "../support/shell.hpp"
#include "../support/workspace.hpp"

using namespace fairing;

TEST_CASE("sources that import fairing") {
    using payload::imports_fairing;
    for (const char* source :
         {"import fairing", "import os\n  from kubeflow.fairing import TrainJob\n",
          "from kubeflow import fairing  # it", "import kubeflow.fairing.utils as u"}) {
        CAPTURE(source);
        CHECK(imports_fairing(source));
    }
    for (const char* source : {"import fairings", "# import fairing", "x = 'import fairing'", ""}) {
        CAPTURE(source);
        CHECK_FALSE(imports_fairing(source));
    }
}

TEST_CASE("the module imports, and does nothing; a decorated function stays itself") {
    if (!support::has_program("python3")) {
        MESSAGE("skipped: needs python3");
        return;
    }
    const support::Workspace space;
    space.file("shim/fairing/__init__.py", payload::detail::no_op_module);
    space.file("shim/kubeflow/fairing/__init__.py", payload::detail::kubeflow_module);
    space.file("job.py",
               "from kubeflow import fairing\nimport fairing as same\n"
               "from kubeflow.fairing import TrainJob\n"
               "from kubeflow.fairing.kubernetes.utils import mounting_pvc\n"
               "from kubeflow.fairing.backends import KubeflowGKEBackend\n"
               "fairing.config.set_preprocessor('python', input_files=[1])\n"
               "fairing.config.run()\nfairing.config.reset()\n"
               "TrainJob(lambda: 1, backend=KubeflowGKEBackend()).submit()\n"
               "class Mine(fairing.builders.Base):\n    pass\n"
               "@fairing.config.fn\ndef train():\n    return 7\n"
               "assert fairing is same and not mounting_pvc('x')\nprint(train())\n");
    const auto result =
        support::run("cd " + space.path().string() + " && PYTHONPATH=shim python3 job.py 2>&1");
    CHECK(result.output == "7\n");
}
