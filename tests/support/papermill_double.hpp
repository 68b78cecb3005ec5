// tests/support/papermill_double.hpp - modules that stand for papermill and Jupyter: a notebook of
// that name says what happens.
#pragma once

#include <string>

#include "workspace.hpp"

namespace support {

/// Writes them below `folder`, which goes onto PYTHONPATH. The cell of "….cell.ipynb" fails,
/// "….other.ipynb" ends by any other error; the rest print papermill's arguments. The kernels are
/// those that the file jupyter_client/kernels lists.
inline void write_papermill_double(const Workspace& space, const std::string& folder) {
    space.file(folder + "/jupyter_client/__init__.py", "");
    space.file(folder + "/jupyter_client/kernelspec.py",
               "import os\n\n"
               "class NoSuchKernel(KeyError):\n"
               "    def __init__(self, name):\n"
               "        self.name = name\n\n"
               "class KernelSpecManager:\n"
               "    def find_kernel_specs(self):\n"
               "        file = os.path.join(os.path.dirname(__file__), 'kernels')\n"
               "        return {name: '' for name in open(file).read().split()}\n\n"
               "    def get_kernel_spec(self, name):\n"
               "        if name not in self.find_kernel_specs():\n"
               "            raise NoSuchKernel(name)\n");
    space.file(folder + "/jupyter_client/kernels", "python3 ir");
    space.file(folder + "/papermill/__init__.py", "");
    space.file(folder + "/papermill/exceptions.py",
               "class PapermillExecutionError(Exception):\n"
               "    exec_count, ename, evalue = 3, 'ValueError', 'no\\ndata'\n");
    space.file(folder + "/papermill/cli.py",
               "import sys\n"
               "from papermill.exceptions import PapermillExecutionError\n\n"
               "def papermill():\n"
               "    kind = sys.argv[1].split('.')[-2]\n"
               "    if kind == 'cell':\n"
               "        raise PapermillExecutionError('all of the cell')\n"
               "    if kind == 'other':\n"
               "        raise OSError('disk full')\n"
               "    print(sys.argv)\n"
               "    sys.exit(0)\n");
}

}  // namespace support
