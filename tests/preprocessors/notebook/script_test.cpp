#include "fairing/preprocessors/notebook/script.hpp"

#include <doctest/doctest.h>

#include "../../support/workspace.hpp"

using namespace fairing;
using notebook::CellKind;
using notebook::Document;
using support::contains;
using support::error_of;

TEST_CASE("the layout is nbconvert's") {
    const Document document{.cells = {{.kind = CellKind::markdown, .source = "# Title\ntext"},
                                      {.source = "a = 1", .execution_count = 5},
                                      {.source = ""},
                                      {.kind = CellKind::raw, .source = "raw"}}};
    const notebook::Script script = notebook::script(document);
    CHECK(script.text ==
          "#!/usr/bin/env python\n# coding: utf-8\n\n# # Title\n# text\n\n# In[5]:\n\n\na = 1\n\n\n"
          "# In[ ]:\n\n\n\n\n\n# raw\n");
    CHECK(script.code_cells == 1);
}

TEST_CASE("a filter chooses, and changes, cells") {
    const Document document{.cells = {{.source = "a"}, {.source = "b"}}};
    const notebook::Script script =
        notebook::script(document, [](const notebook::Cell& cell) -> std::optional<std::string> {
            return cell.source == "a" ? std::nullopt : std::optional<std::string>{"%who\nc"};
        });
    CHECK(script.text == "#!/usr/bin/env python\n# coding: utf-8\n\n# In[ ]:\n\n\nc\n\n");
    CHECK(script.dropped == std::vector<std::string>{"%who"});
}

TEST_CASE("the fire form is Fairing's") {
    CHECK(notebook::with_fire("# coding: utf-8\n\n# In[1]:\n\n\nclass A:\n    pass\n\n", "A") ==
          "# coding: utf-8\n\nclass A:\n    pass\n\n\nif __name__ == \"__main__\":\n"
          "  import fire\n  import logging\n  logging.basicConfig(format='%(message)s')\n"
          "  logging.getLogger().setLevel(logging.INFO)\n  fire.Fire(A)\n");
    CHECK(contains(error_of([] { (void)notebook::with_fire("class AB: pass\n", "A"); }),
                   "no cell that is kept speaks of it"));
    CHECK(contains(error_of([] { (void)notebook::with_fire("A", "A)"); }), "no name of Python's"));
}
