/* Replays a corpus where there is no libFuzzer: every file given, and every file of every folder
 * given, once. */
#include <dirent.h>
#include <stdint.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

enum { INPUT_MAX = 1 << 20 /* bytes */ };

/* The number of inputs replayed, or -1 when the file cannot be read. */
static int replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    uint8_t *bytes = malloc(INPUT_MAX);
    int count = -1;
    if (file && bytes) {
        size_t n = fread(bytes, 1, INPUT_MAX, file);
        /* A copy of exactly n bytes lets AddressSanitizer see reads beyond the end. */
        uint8_t *exact = malloc(n == 0 ? 1 : n);
        if (exact && !ferror(file)) {
            memcpy(exact, bytes, n);
            LLVMFuzzerTestOneInput(exact, n);
            count = 1;
        }
        free(exact);
    }
    free(bytes);
    if (file)
        fclose(file);
    return count;
}

static int replay_folder(const char *path)
{
    DIR *dir = opendir(path);
    if (!dir)
        return -1;
    int count = 0;
    struct dirent *entry;
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread */
    while (count >= 0 && (entry = readdir(dir)) != NULL) {
        char name[4096];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
        int n = replay_file(name);
        count = n < 0 ? -1 : count + n;
    }
    closedir(dir);
    return count;
}

int main(int argc, char **argv)
{
    int total = 0;
    for (int i = 1; i < argc; i++) {
        struct stat st;
        int n = -1;
        if (stat(argv[i], &st) == 0)
            n = S_ISDIR(st.st_mode) ? replay_folder(argv[i]) : replay_file(argv[i]);
        if (n <= 0) {
            fprintf(stderr, "%s: no input there\n", argv[i]);
            return 1;
        }
        total += n;
    }
    printf("%d inputs\n", total);
    return total > 0 ? 0 : 1;
}
