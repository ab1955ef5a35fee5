#include "backup.h"
#include "base/text.h"
#include "task.h"

const Task *const tasks[] = {
        &backup_task,
        NULL,
};

const Task *task_find(const char *name) {
        for (const Task *const *task = tasks; *task; task++)
                if (text_equal((*task)->name, name))
                        return *task;
        return NULL;
}
