// A worker's manners as a process: its stdout is the wire's alone, and it never outlives its
// parent.
#pragma once

namespace modelconform {

// Call first of all. Ends the process where its parent is gone already.
void die_with_parent();

// Asks the kernel to end this process, not pytest, where memory runs out.
void volunteer_for_oom_killer();

// Moves stdout to a private descriptor, which is returned, and points descriptor 1 at stderr, so
// that a library that prints can't break the wire.
int take_stdout();

// Seconds of processor time that this process has taken, and those of its children that have ended.
double core_seconds();

}  // namespace modelconform
