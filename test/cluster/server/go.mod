module deploy-actions/test-server

go 1.22
