module example.com/data-pipeline/send

go 1.21
