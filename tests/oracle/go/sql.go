package main

import "github.com/DataDog/datadog-agent/pkg/obfuscate"

func init() {
	kinds["sql"] = askSQL
	kinds["sql_exec_plan"] = askPlan
}

// askSQL answers one statement with a fresh obfuscator, or a chain of statements with one obfuscator for all.
func askSQL(q *question) answer {
	var options obfuscate.SQLConfig
	q.options(&options)
	dbms := options.DBMS
	options.DBMS = "" // the agent hands the dialect over with each statement
	o := obfuscate.NewObfuscator(obfuscate.Config{SQL: options})
	defer o.Stop()
	if q.Chain != nil {
		outputs := []string{}
		for _, statement := range q.Chain {
			if result, err := o.ObfuscateSQLStringForDBMS(statement, dbms); err != nil {
				outputs = append(outputs, "ERROR: "+err.Error())
			} else {
				outputs = append(outputs, result.Query)
			}
		}
		return answer{"outputs": outputs}
	}
	result, err := o.ObfuscateSQLStringForDBMS(q.text(), dbms)
	if err != nil {
		return answer{"error": err.Error()}
	}
	reply := said(result.Query)
	if result.Metadata.TablesCSV != "" {
		reply["metadata"] = map[string]string{"tables_csv": result.Metadata.TablesCSV}
	}
	return reply
}

// askPlan answers one execution plan in JSON.
func askPlan(q *question) answer {
	var options obfuscate.JSONConfig
	q.options(&options)
	options.Enabled = true
	o := obfuscate.NewObfuscator(obfuscate.Config{SQLExecPlan: options})
	defer o.Stop()
	text, err := o.ObfuscateSQLExecPlan(q.text(), false)
	reply := said(text)
	if err != nil {
		reply["error"] = err.Error()
	}
	return reply
}
