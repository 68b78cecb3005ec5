// fairing/codec/tar.hpp - tar archives (POSIX.1-2017, pax): entries, headers to write, a reader.
#pragma once

#include "tar_entry.hpp"
#include "tar_reader.hpp"
#include "tar_writer.hpp"
