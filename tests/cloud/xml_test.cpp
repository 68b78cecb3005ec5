#include "fairing/cloud/xml.hpp"

#include <doctest/doctest.h>

#include "../support/workspace.hpp"

using namespace fairing;

TEST_CASE("an element's text is found wherever it is, whatever its namespace") {
    if (!FAIRING_XML) {
        MESSAGE("skipped: needs pugixml");
        return;
    }
    const std::string document =
        "<?xml version=\"1.0\"?>\n<a:Result xmlns:a=\"urn:x\"><Inner><a:Id>x &amp; &#121;</a:Id>"
        "</Inner><Empty/></a:Result>";
    CHECK(cloud::xml_text(document, "Id") == "x & y");
    CHECK(cloud::xml_text(document, "Empty") == "");
    CHECK_FALSE(cloud::xml_text(document, "a:Id"));
    CHECK_FALSE(cloud::xml_text("{\"Id\": 1}", "Id"));
    CHECK_FALSE(cloud::xml_text("<a><Id>x", "Id"));
    CHECK_FALSE(cloud::xml_text("", "Id"));
}

TEST_CASE("entities of a document's own stay what they are") {
    const std::string bomb =
        "<!DOCTYPE a [<!ENTITY b \"x\"><!ENTITY c SYSTEM \"/etc/passwd\">]>"
        "<a><Id>&b;&c;</Id></a>";
    CHECK(cloud::xml_text(bomb, "Id").value_or("&b;&c;") == "&b;&c;");
}

TEST_CASE("what must be there is asked for by name") {
    CHECK(support::contains(
        support::error_of([] { (void)cloud::needed_xml_text("<a/>", "UploadId", "s3://b/k"); }),
        "cannot read the answer of s3://b/k: it"));
}
