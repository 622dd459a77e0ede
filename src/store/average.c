#include "store/average.h"
#include "base/memory.h"
#include "store/folder.h"

at_status at_average_folders(const char *const *paths, size_t count, const at_params *params, float *out)
{
    if (!count)
        return at_fail(AT_EARG, "nothing to average: name at least one model folder");
    size_t total = params->total ? params->total : 1;
    double *sum = at_alloc_zero(total, sizeof *sum);
    float *one = at_alloc_zero(total, sizeof *one); /* zeroed: gaps between parameters are read too */
    at_status st = sum && one ? AT_OK : AT_ENOMEM;
    for (size_t k = 0; st == AT_OK && k < count; k++) {
        st = at_folder_numbers(paths[k], params, one);
        for (size_t i = 0; st == AT_OK && i < params->total; i++)
            sum[i] += one[i];
    }
    for (size_t i = 0; st == AT_OK && i < params->total; i++)
        out[i] = (float)(sum[i] / (double)count);
    at_free(one);
    at_free(sum);
    return st;
}
