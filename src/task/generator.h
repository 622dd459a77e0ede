/* task/generator.h - attend.h's generator, for the parts of the program that need to look inside.
 *
 * Role    What eval and bench use beside the public functions: a generator over a model that is in memory.
 * Owns    As attend.h says; a borrowed generator frees neither folder nor threads.
 */
#ifndef AT_TASK_GENERATOR_H
#define AT_TASK_GENERATOR_H
#include "attend.h"
#include "kernel/exec.h"
#include "store/folder.h"

const at_folder *at_generator_folder(const at_generator *generator);
at_exec *at_generator_exec(at_generator *generator);
at_status at_generator_borrow(at_folder *folder, at_exec *exec, at_generator **generator);
void at_generator_release(at_generator *generator); /* a borrowed one; NULL is fine */
#endif
