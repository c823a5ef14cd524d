/* The version of octpipe; the one place that says it. */
#ifndef OCTPIPE_CORE_VERSION_H
#define OCTPIPE_CORE_VERSION_H

#define OCTPIPE_VERSION "0.1.0"

#endif
