# A Terraform module of your own: the service `stock`, which joins a mesh by what stands between the marks.
# Without them it is the service as it was. What stands between JSON and JSON is what this prints:
#   meshcert sidecar stock --json --region us-east-1 --image '${data.aws_ssm_parameter.envoy.insecure_value}'

variable "account" { type = string }
variable "cluster" { type = string }
variable "execution_role_arn" { type = string }
variable "image" { type = string }
variable "security_group" { type = string }
variable "subnets" { type = list(string) }

locals {
  app = {
    name         = "app"
    image        = var.image
    essential    = true
    environment  = [{ name = "PORT", value = "8080" }]
    portMappings = [{ containerPort = 8080 }]
    healthCheck  = { command = ["CMD", "python", "/app/orders.py", "check"], interval = 5 }
  }
}

# meshcert
data "aws_ssm_parameter" "envoy" { name = "/meshcert/shop/sidecar/image/x86_64" }
data "aws_ssm_parameter" "registry" { name = "/meshcert/shop/sidecar/stock/registry" }

locals {
  sidecar = jsondecode(<<-JSON
    {
      "containers": [
        {
          "name": "envoy",
          "image": "${data.aws_ssm_parameter.envoy.insecure_value}",
          "essential": true,
          "readonlyRootFilesystem": true,
          "stopTimeout": 40,
          "environment": [{"name": "MESHCERT_PROXY_FROM", "value": "dynamodb://meshcert-shop-routes/settings/stock"}],
          "healthCheck": {
            "command": ["CMD", "python", "-m", "entrypoint.healthcheck"],
            "interval": 10,
            "timeout": 10,
            "retries": 3,
            "startPeriod": 60
          },
          "linuxParameters": {
            "initProcessEnabled": false,
            "capabilities": {"drop": ["ALL"]},
            "tmpfs": [
              {
                "containerPath": "/run/meshcert",
                "size": 16,
                "mountOptions": ["noexec", "nosuid", "nodev", "mode=0700", "uid=1337", "gid=1337"]
              }
            ]
          },
          "logConfiguration": {
            "logDriver": "awslogs",
            "options": {
              "awslogs-group": "/meshcert/shop",
              "awslogs-region": "us-east-1",
              "awslogs-stream-prefix": "stock",
              "mode": "non-blocking",
              "max-buffer-size": "5242880b"
            }
          },
          "startTimeout": 120,
          "portMappings": [{"containerPort": 9443, "protocol": "tcp"}]
        },
        {
          "name": "readiness",
          "image": "${data.aws_ssm_parameter.envoy.insecure_value}",
          "essential": true,
          "readonlyRootFilesystem": true,
          "stopTimeout": 25,
          "environment": [
            {"name": "MESHCERT_APPLICATION_PORT", "value": "8080"},
            {"name": "MESHCERT_HEALTH_CHECK_PATH", "value": ""}
          ],
          "healthCheck": {
            "command": ["CMD", "/usr/bin/test", "-e", "/run/meshcert/ready"],
            "interval": 5,
            "timeout": 5,
            "retries": 3,
            "startPeriod": 120
          },
          "linuxParameters": {
            "initProcessEnabled": false,
            "capabilities": {"drop": ["ALL"]},
            "tmpfs": [
              {
                "containerPath": "/run/meshcert",
                "size": 1,
                "mountOptions": ["noexec", "nosuid", "nodev", "mode=0700", "uid=1337", "gid=1337"]
              }
            ]
          },
          "logConfiguration": {
            "logDriver": "awslogs",
            "options": {
              "awslogs-group": "/meshcert/shop",
              "awslogs-region": "us-east-1",
              "awslogs-stream-prefix": "stock",
              "mode": "non-blocking",
              "max-buffer-size": "5242880b"
            }
          },
          "entryPoint": ["python", "-m", "entrypoint.readiness"],
          "dependsOn": [
            {"containerName": "app", "condition": "START"},
            {"containerName": "envoy", "condition": "HEALTHY"}
          ]
        }
      ],
      "application": {"name": "app", "dependsOn": [{"containerName": "envoy", "condition": "HEALTHY"}]},
      "task_role_policy": "meshcert-shop-us-east-1-stock",
      "security_group": "sg-0123456789abcdef0",
      "registry_parameter": "/meshcert/shop/sidecar/stock/registry",
      "tags": [{"key": "meshcert:identity/stock", "value": ""}]
    }
  JSON
  )
}

resource "aws_iam_role_policy_attachment" "sidecar" {
  role       = aws_iam_role.task.name
  policy_arn = "arn:aws:iam::${var.account}:policy/${local.sidecar.task_role_policy}"
}
# /meshcert

resource "aws_iam_role" "task" {
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Principal = { Service = "ecs-tasks.amazonaws.com" }, Action = "sts:AssumeRole" }]
  })
}

resource "aws_ecs_task_definition" "stock" {
  family                   = "stock"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = 512
  memory                   = 1024
  execution_role_arn       = var.execution_role_arn
  task_role_arn            = aws_iam_role.task.arn
  # meshcert; without it: jsonencode([local.app])
  container_definitions = jsonencode(concat(
    [merge(local.app, { dependsOn = local.sidecar.application.dependsOn })],
    local.sidecar.containers,
  ))
  # /meshcert
}

resource "aws_ecs_service" "stock" {
  name            = "stock"
  cluster         = var.cluster
  task_definition = aws_ecs_task_definition.stock.arn
  desired_count   = 2
  launch_type     = "FARGATE"
  network_configuration {
    assign_public_ip = true
    security_groups  = [var.security_group]
    subnets          = var.subnets
  }
  # meshcert
  service_registries { registry_arn = data.aws_ssm_parameter.registry.insecure_value }
  tags       = { for tag in local.sidecar.tags : tag.key => tag.value }
  depends_on = [aws_iam_role_policy_attachment.sidecar]
  # /meshcert
}
