/* task/translator.h - attend.h's translator, for the parts of the program that need to look inside.
 *
 * Role    What eval and train use beside the public functions: the folder that is open, the threads it runs
 *         on, and a translator over a model that is still being trained.
 * Owns    As attend.h says; a borrowed translator frees neither folder nor threads.
 */
#ifndef AT_TASK_TRANSLATOR_H
#define AT_TASK_TRANSLATOR_H
#include "attend.h"
#include "kernel/exec.h"
#include "store/folder.h"

const at_folder *at_translator_folder(const at_translator *translator);
/* What it runs on: for a profile, by the thread that translates. */
at_exec *at_translator_exec(at_translator *translator);
/* Over a folder struct and threads of the caller, which must outlive it. */
at_status at_translator_borrow(at_folder *folder, at_exec *exec, at_translator **translator);
void at_translator_release(at_translator *translator); /* a borrowed one; NULL is fine */
/* Moses tokens stay in the translations from now on (`keep`) or not; false: this model has none. For scores
 * on tokens. */
bool at_translator_keep_tokens(at_translator *translator, bool keep);
#endif
