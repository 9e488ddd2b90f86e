// Routes of this service in Swagger UI.
SwaggerUIBundle({ url: "/openapi.json", dom_id: "#routes", deepLinking: true, tryItOutEnabled: true });
